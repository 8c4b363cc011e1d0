//! Key blocks: read, open, make.

use core::fmt;

use keyblock::{Algorithm, Envelope, Header, Kbpk, Version};
use zeroize::Zeroizing;

use crate::keys::Clear;
use crate::{Error, Remarks, to_hex};

/// What a block says in the clear. Nothing of it is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBlock {
    /// The header.
    pub header: Header,
    /// Bytes of the encrypted key with its length and padding.
    pub encrypted_bytes: usize,
    /// The MAC, upper-case hexadecimal.
    pub mac: String,
}

/// A block that was opened.
#[derive(Debug)]
pub struct OpenedBlock {
    /// The header, authenticated.
    pub header: Header,
    key: Clear,
    /// What is to be said of the key.
    pub remarks: Remarks,
}

/// A block that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedBlock {
    /// The block's text.
    pub block: String,
    /// What is to be said of the key inside.
    pub remarks: Remarks,
}

/// Reads a block without a key.
///
/// # Errors
/// [`Error::KeyBlock`] with each defect's own code.
pub fn parse(block: &str) -> Result<ReadBlock, Error> {
    let envelope = Envelope::parse(block)?;
    Ok(ReadBlock {
        encrypted_bytes: envelope.ciphertext().len() / 2,
        mac: envelope.mac().to_owned(),
        header: envelope.header,
    })
}

/// Opens a block with its protection key: 8 (A and C), 16 or 24 bytes for versions A to C, 16, 24 or 32 for D and E.
///
/// # Errors
/// [`Error::KeyBlock`].
pub fn unwrap(kbpk: &[u8], block: &str) -> Result<OpenedBlock, Error> {
    // The header first: it says for which version the protection key is, and its defects have names of their own.
    let (header, _) = Header::parse(block)?;
    let opened = Kbpk::new(header.version, kbpk)?.unwrap(block)?;
    let remarks = remarks(opened.header.algorithm, &opened.key);
    Ok(OpenedBlock { header: opened.header, key: Clear::new(opened.key), remarks })
}

/// Makes a block. Versions A and C are made, too: who names them asks for them. `padded_length` hides the key's length
/// behind that of a key of so many bytes, by default 24 for TDES and 32 for AES.
///
/// # Errors
/// [`Error::KeyBlock`].
pub fn wrap(
    kbpk: &[u8],
    header: &Header,
    key: &[u8],
    padded_length: Option<usize>,
) -> Result<WrappedBlock, Error> {
    let kbpk = Kbpk::new(header.version, kbpk)?;
    let block = match padded_length {
        Some(length) => kbpk.wrap_legacy_padded(header, key, length)?,
        None => kbpk.wrap_legacy(header, key)?,
    };
    Ok(WrappedBlock { block, remarks: remarks(header.algorithm, key) })
}

impl OpenedBlock {
    /// The clear key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.expose()
    }

    /// The key and the header as a person reads them; wiped when dropped.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let key = to_hex(self.key());
        // Room for all of it: a growing buffer would leave pieces of the key behind.
        let rest = format!("{}\n{}", self.remarks, Fields(&self.header));
        let mut text = Zeroizing::new(String::with_capacity(32 + key.len() + rest.len()));
        text.push_str("key            ");
        text.push_str(&key);
        text.push_str(&rest);
        text
    }
}

impl fmt::Display for ReadBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", Fields(&self.header))?;
        writeln!(f, "encrypted key  {} bytes", self.encrypted_bytes)?;
        write!(f, "MAC            {} (not checked: that needs the protection key)", self.mac)
    }
}

impl fmt::Display for WrappedBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.block, self.remarks)
    }
}

/// Only DES keys have weak values; a key of another length under `T` (two keys in one block) is not looked at.
fn remarks(algorithm: Algorithm, key: &[u8]) -> Remarks {
    match (algorithm, key.len()) {
        (Algorithm::TDES | Algorithm::DES, 8 | 16 | 24) => Remarks::of_des(key),
        _ => Remarks::NONE,
    }
}

/// A header, a field a line.
struct Fields<'a>(&'a Header);

impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.0;
        writeln!(f, "version        {} ({})", header.version, binding(header.version))?;
        writeln!(f, "usage          {}", header.usage)?;
        writeln!(f, "algorithm      {}", header.algorithm)?;
        writeln!(f, "mode of use    {}", header.mode)?;
        writeln!(f, "key version    {}", header.key_version)?;
        write!(f, "exportability  {}", header.exportability)?;
        for block in &header.optional {
            write!(f, "\noptional {}    {}", block.id(), block.text())?;
        }
        Ok(())
    }
}

const fn binding(version: Version) -> &'static str {
    match version {
        Version::A | Version::C => "TDES, key variant binding, deprecated",
        Version::B => "TDES, key derivation binding",
        Version::D => "AES-CBC, key derivation binding",
        Version::E => "AES-CTR, ISO 20038",
    }
}
