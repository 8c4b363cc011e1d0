//! The structure of a whole block: header, encrypted key, MAC. No cryptography.

use crate::header::{self, Header};
use crate::{Error, Version, hex};

/// A key block taken apart: its header, its encrypted key and its MAC, all lengths and digits checked.
///
/// Nothing is authenticated here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The header, not yet to be believed.
    pub header: Header,
    header_text: &'a str,
    ciphertext: &'a str,
    mac: &'a str,
}

impl<'a> Envelope<'a> {
    /// Takes a block apart.
    ///
    /// # Errors
    /// One named [`Error`] for each defect that can be seen without the key.
    pub fn parse(block: &'a str) -> Result<Self, Error> {
        let header::Parsed { header, header_length, stated_length } = header::parse(block)?;
        let version = header.version;
        let actual = block.len();
        if stated_length != actual {
            return Err(Error::LengthMismatch { stated: stated_length, actual });
        }
        // AES-CTR of version E needs no whole blocks; that its digits come in pairs is checked below.
        let multiple = version.cipher_block();
        if version != Version::E && !actual.is_multiple_of(multiple) {
            return Err(Error::Alignment { version, multiple, length: actual });
        }

        let (header_text, rest) = block.split_at_checked(header_length).unwrap_or((block, ""));
        let need = version.mac_characters();
        let truncated = Error::MacTruncated { version, have: rest.len(), need };
        let at = rest.len().checked_sub(need).ok_or(truncated)?;
        // Only a character of several bytes can make the split fail, and that is no hexadecimal digit.
        let (ciphertext, mac) = rest.split_at_checked(at).ok_or(Error::MacHex)?;
        if hex::number(mac.as_bytes()).is_none() {
            return Err(Error::MacHex);
        }
        if hex::number(ciphertext.as_bytes()).is_none() {
            return Err(Error::CiphertextHex);
        }
        let whole = if version == Version::E { 2 } else { 2 * multiple };
        if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(whole) {
            return Err(Error::CiphertextLength { version, characters: ciphertext.len() });
        }
        Ok(Self { header, header_text, ciphertext, mac })
    }

    /// The header's characters as they stand in the block, padding block included.
    #[must_use]
    pub fn header_text(&self) -> &'a str {
        self.header_text
    }

    /// The encrypted key, upper-case hexadecimal.
    #[must_use]
    pub fn ciphertext(&self) -> &'a str {
        self.ciphertext
    }

    /// The MAC, upper-case hexadecimal.
    #[must_use]
    pub fn mac(&self) -> &'a str {
        self.mac
    }
}
