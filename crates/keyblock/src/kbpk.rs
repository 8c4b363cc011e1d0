//! The key block protection key (KBPK): what wraps and unwraps.

use aes::{Aes128, Aes192, Aes256};
use cmac::Cmac;
use cmac::block_api::CmacCipher;
use des::TdesEde3;
use des::cipher::KeyInit;
use zeroize::{Zeroize as _, Zeroizing};

use crate::binding::{Binding, Cbc, Chaining, Ctr, DerivedBinding, VariantBinding, derive};
use crate::{Algorithm, Envelope, Error, Header, MAX_BLOCK_LENGTH, Version, hex};

/// Bytes of the key length in front of the key (X9.143 6.4).
const KEY_LENGTH_FIELD: usize = 2;
/// TDES keys are padded to the longest of them, so that the block does not tell which it is (X9.143 6.4).
const TDES_PADDED: usize = 24;
/// The same for AES.
const AES_PADDED: usize = 32;

/// A key block protection key for one version.
///
/// Its encryption and authentication keys are derived once, when it is made. They are wiped when it is dropped.
pub struct Kbpk {
    version: Version,
    binding: Box<dyn Binding>,
}

/// What a block held: its header, now authenticated, and its key.
pub struct Unwrapped {
    /// The header.
    pub header: Header,
    /// The key; it is wiped when dropped.
    pub key: Zeroizing<Vec<u8>>,
}

impl Kbpk {
    /// Makes a protection key from its clear bytes: 16 or 24 for version B (TDES), also 8 for A and C (single DES);
    /// 16, 24 or 32 for D and E (AES). The key itself is not judged: neither parity nor weakness is looked at.
    ///
    /// # Errors
    /// [`Error::KbpkLength`] for another length.
    pub fn new(version: Version, key: &[u8]) -> Result<Self, Error> {
        let wrong = Error::KbpkLength { version, length: key.len() };
        let binding: Box<dyn Binding> = match (version, key.len()) {
            (Version::A | Version::C, 8 | 16 | 24) => Box::new(variants(key).ok_or(wrong)?),
            (Version::B, 16) => derived::<TdesEde3, 24, _>(key, &TDES_2, Cbc, wrong)?,
            (Version::B, 24) => derived::<TdesEde3, 24, _>(key, &TDES_3, Cbc, wrong)?,
            (Version::D, 16) => derived::<Aes128, 16, _>(key, &AES_128, Cbc, wrong)?,
            (Version::D, 24) => derived::<Aes192, 24, _>(key, &AES_192, Cbc, wrong)?,
            (Version::D, 32) => derived::<Aes256, 32, _>(key, &AES_256, Cbc, wrong)?,
            (Version::E, 16) => derived::<Aes128, 16, _>(key, &AES_128.counter(), Ctr, wrong)?,
            (Version::E, 24) => derived::<Aes192, 24, _>(key, &AES_192.counter(), Ctr, wrong)?,
            (Version::E, 32) => derived::<Aes256, 32, _>(key, &AES_256.counter(), Ctr, wrong)?,
            _ => return Err(wrong),
        };
        Ok(Self { version, binding })
    }

    /// The version that this protection key wraps and unwraps.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Wraps a key. Its length is hidden as X9.143 6.4 recommends: algorithms `T` and `D` are padded to 24 bytes, `A`
    /// to 32, with random bytes; keys of other algorithms, and longer ones, only to the cipher's block.
    ///
    /// # Errors
    /// [`Error::LegacyVersion`] for versions A and C (see [`Kbpk::wrap_legacy`]); [`Error::VersionMismatch`] where the
    /// header's version is another; [`Error::KeyEmpty`]; [`Error::BlockTooLong`] past 9999 characters; those of
    /// optional blocks; [`Error::Random`].
    pub fn wrap(&self, header: &Header, key: &[u8]) -> Result<String, Error> {
        self.not_legacy()?;
        self.seal(header, key, default_padding(header.algorithm))
    }

    /// Wraps a key so that the block is as long as for a key of `padded_len` bytes; a `padded_len` shorter than the key
    /// adds nothing.
    ///
    /// # Errors
    /// As [`Kbpk::wrap`].
    pub fn wrap_padded(&self, header: &Header, key: &[u8], padded_len: usize) -> Result<String, Error> {
        self.not_legacy()?;
        self.seal(header, key, padded_len)
    }

    /// Wraps a key in any version, also in the deprecated A and C.
    ///
    /// # Errors
    /// As [`Kbpk::wrap`], without [`Error::LegacyVersion`].
    pub fn wrap_legacy(&self, header: &Header, key: &[u8]) -> Result<String, Error> {
        self.seal(header, key, default_padding(header.algorithm))
    }

    /// [`Kbpk::wrap_padded`] in any version, also in the deprecated A and C.
    ///
    /// # Errors
    /// As [`Kbpk::wrap_padded`], without [`Error::LegacyVersion`].
    pub fn wrap_legacy_padded(
        &self,
        header: &Header,
        key: &[u8],
        padded_len: usize,
    ) -> Result<String, Error> {
        self.seal(header, key, padded_len)
    }

    /// Opens a block: structure, then MAC, then the key. The key is not judged.
    ///
    /// # Errors
    /// One named error for each defect of the text; [`Error::VersionMismatch`]; [`Error::NotAuthentic`] for all that is
    /// wrong once the structure is right.
    pub fn unwrap(&self, block: &str) -> Result<Unwrapped, Error> {
        let envelope = Envelope::parse(block)?;
        self.same_version(envelope.header.version)?;

        let mut payload = Zeroizing::new(vec![0_u8; envelope.ciphertext().len() / 2]);
        if !hex::decode(envelope.ciphertext().as_bytes(), &mut payload) {
            return Err(Error::CiphertextHex);
        }
        let mut mac = [0_u8; 16];
        let mac = mac.get_mut(..envelope.mac().len() / 2).ok_or(Error::MacHex)?;
        if !hex::decode(envelope.mac().as_bytes(), mac) {
            return Err(Error::MacHex);
        }
        if !self.binding.open(envelope.header_text().as_bytes(), &mut payload, mac) {
            return Err(Error::NotAuthentic);
        }
        let key_length = key_length(&payload).ok_or(Error::NotAuthentic)?;
        // The key moves to the front of the buffer that it was decrypted in: no second copy. What stays behind it is
        // wiped now, not when the buffer is dropped.
        payload.copy_within(KEY_LENGTH_FIELD..KEY_LENGTH_FIELD + key_length, 0);
        if let Some(rest) = payload.get_mut(key_length..) {
            rest.zeroize();
        }
        payload.truncate(key_length);
        Ok(Unwrapped { header: envelope.header, key: payload })
    }

    fn seal(&self, header: &Header, key: &[u8], padded_len: usize) -> Result<String, Error> {
        self.same_version(header.version)?;
        if key.is_empty() {
            return Err(Error::KeyEmpty);
        }
        let version = self.version;
        // Bounded before anything is added up or allocated.
        let padded = key.len().max(padded_len);
        if padded > MAX_BLOCK_LENGTH / 2 {
            return Err(Error::BlockTooLong);
        }
        let bare = KEY_LENGTH_FIELD + padded;
        let payload_length =
            if version == Version::E { bare } else { bare.next_multiple_of(version.cipher_block()) };
        let block_length =
            header.encoded_len().saturating_add(2 * payload_length).saturating_add(version.mac_characters());
        if block_length > MAX_BLOCK_LENGTH {
            return Err(Error::BlockTooLong);
        }

        let mut block = String::with_capacity(block_length);
        header.encode(block_length, &mut block)?;
        let mut payload = Zeroizing::new(Vec::with_capacity(payload_length));
        let bits = u16::try_from(8 * key.len()).map_err(|_| Error::BlockTooLong)?;
        payload.extend_from_slice(&bits.to_be_bytes());
        payload.extend_from_slice(key);
        payload.resize(payload_length, 0);
        if let Some(padding) =
            payload.get_mut(KEY_LENGTH_FIELD + key.len()..).filter(|padding| !padding.is_empty())
        {
            getrandom::fill(padding).map_err(|_| Error::Random)?;
        }
        let mac = self.binding.seal(block.as_bytes(), &mut payload);
        hex::encode(&payload, &mut block);
        hex::encode(mac.as_bytes(), &mut block);
        Ok(block)
    }

    fn same_version(&self, block: Version) -> Result<(), Error> {
        if block == self.version { Ok(()) } else { Err(Error::VersionMismatch { kbpk: self.version, block }) }
    }

    fn not_legacy(&self) -> Result<(), Error> {
        if self.version.is_legacy() { Err(Error::LegacyVersion(self.version)) } else { Ok(()) }
    }
}

impl core::fmt::Debug for Kbpk {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Kbpk(version {})", self.version)
    }
}

impl core::fmt::Debug for Unwrapped {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Unwrapped")
            .field("header", &self.header)
            .field("key", &format_args!("{} bytes", self.key.len()))
            .finish()
    }
}

fn default_padding(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::TDES | Algorithm::DES => TDES_PADDED,
        Algorithm::AES => AES_PADDED,
        _ => 0,
    }
}

/// The key's length in bytes, as its first two bytes say in bits; `None` unless they are whole bytes that are there.
fn key_length(payload: &[u8]) -> Option<usize> {
    let bits = usize::from(u16::from_be_bytes(*payload.first_chunk()?));
    let bytes = bits / 8;
    (bits % 8 == 0 && bytes > 0 && KEY_LENGTH_FIELD + bytes <= payload.len()).then_some(bytes)
}

/// The derivation constants of one kind of protection key (X9.143 7.2, tables 24 and 25; ISO 20038 6.3, table 1).
struct Derivation {
    /// 0 for encryption in CBC mode, 2 in counter mode.
    encryption: u8,
    /// 0 two-key TDES, 1 three-key TDES, 2, 3, 4 AES.
    algorithm: u8,
    /// Bits of the derived keys.
    bits: u16,
}

/// Derivation usage of the authentication key.
const USAGE_MAC: u8 = 1;

const TDES_2: Derivation = Derivation { encryption: 0, algorithm: 0, bits: 128 };
const TDES_3: Derivation = Derivation { encryption: 0, algorithm: 1, bits: 192 };
const AES_128: Derivation = Derivation { encryption: 0, algorithm: 2, bits: 128 };
const AES_192: Derivation = Derivation { encryption: 0, algorithm: 3, bits: 192 };
const AES_256: Derivation = Derivation { encryption: 0, algorithm: 4, bits: 256 };

impl Derivation {
    const fn counter(&self) -> Self {
        Self { encryption: 2, algorithm: self.algorithm, bits: self.bits }
    }
}

/// Derives both keys; `N` is the cipher's key size in bytes.
fn derived<C, const N: usize, M>(
    kbpk: &[u8],
    derivation: &Derivation,
    mode: M,
    wrong: Error,
) -> Result<Box<dyn Binding>, Error>
where
    C: CmacCipher + KeyInit + Clone + Send + Sync + 'static,
    M: Chaining<C> + 'static,
{
    let cmac = |key: &[u8; N]| {
        C::new_from_slice(key)
            .map(|cipher| -> Cmac<C> { cmac::digest::common::InnerInit::inner_init(cipher) })
    };
    let base = cmac(&expand::<N>(kbpk)).map_err(|_| wrong)?;
    let length = kbpk.len();
    let key_for = |usage| {
        let mut key = Zeroizing::new([0_u8; N]);
        if let Some(key) = key.get_mut(..length) {
            derive(&base, usage, derivation.algorithm, derivation.bits, key);
        }
        key.get(..length).map(expand::<N>).unwrap_or(key)
    };
    let cipher = C::new_from_slice(&*key_for(derivation.encryption)).map_err(|_| wrong)?;
    let mac = cmac(&key_for(USAGE_MAC)).map_err(|_| wrong)?;
    Ok(Box::new(DerivedBinding::new(cipher, mac, mode)))
}

/// What every byte is XORed with for the encryption key of versions A and C, `E` (X9.143 7.3.1).
const ENCRYPTION_VARIANT: u8 = 0x45;
/// The same for their authentication key, `M`.
const AUTHENTICATION_VARIANT: u8 = 0x4D;

/// The variants of versions A and C.
fn variants(kbpk: &[u8]) -> Option<VariantBinding> {
    let variant = |mask: u8| {
        let mut key = expand::<24>(kbpk);
        key.iter_mut().for_each(|byte| *byte ^= mask);
        TdesEde3::new_from_slice(&*key).ok()
    };
    Some(VariantBinding::new(variant(ENCRYPTION_VARIANT)?, variant(AUTHENTICATION_VARIANT)?))
}

/// Fills `N` bytes with the key, over and over: K1 K2 becomes K1 K2 K1, and single DES becomes K1 K1 K1, which is the
/// same cipher.
fn expand<const N: usize>(key: &[u8]) -> Zeroizing<[u8; N]> {
    let mut expanded = Zeroizing::new([0; N]);
    for (to, from) in expanded.iter_mut().zip(key.iter().cycle()) {
        *to = *from;
    }
    expanded
}
