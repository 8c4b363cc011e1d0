//! AES keys.

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{Error, hygiene, mac, random};

/// Block size of AES in bytes.
const BLOCK: usize = 16;

/// An AES key of 16, 24 or 32 bytes. Only one part repeated makes a poor one.
pub struct AesKey(Box<Bytes>);

/// The key bytes by length, so that every use takes the right cipher without a check that can fail.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) enum Bytes {
    K16([u8; 16]),
    K24([u8; 24]),
    K32([u8; 32]),
}

impl std::fmt::Debug for AesKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AesKey({} bytes)", self.expose().len())
    }
}

impl AesKey {
    /// Takes a key of 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// [`Error::KeyLength`].
    pub fn from_bytes(key: &[u8]) -> Result<Self, Error> {
        let mut bytes = Box::new(match key.len() {
            16 => Bytes::K16([0; 16]),
            24 => Bytes::K24([0; 24]),
            32 => Bytes::K32([0; 32]),
            found => return Err(Error::KeyLength { algorithm: "AES", allowed: "16, 24 or 32", found }),
        });
        let place: &mut [u8] = match &mut *bytes {
            Bytes::K16(place) => place,
            Bytes::K24(place) => place,
            Bytes::K32(place) => place,
        };
        place.copy_from_slice(key); // filled in its place on the heap; the lengths are equal
        Ok(Self(bytes))
    }

    /// As [`AesKey::from_bytes`], for a key that came from elsewhere.
    ///
    /// # Errors
    /// [`Error::KeyLength`]; [`Error::Poor`] for a key that is one part repeated.
    pub fn from_bytes_strict(key: &[u8]) -> Result<Self, Error> {
        let key = Self::from_bytes(key)?;
        hygiene::refuse_repeated(key.expose())?;
        Ok(key)
    }

    /// A key of 16 bytes, whose length is right by its type.
    pub(crate) fn of16(key: &[u8; 16]) -> Self {
        let mut bytes = Box::new(Bytes::K16([0; 16]));
        if let Bytes::K16(place) = &mut *bytes {
            place.copy_from_slice(key); // filled in its place on the heap
        }
        Self(bytes)
    }

    /// A key of 32 bytes, whose length is right by its type.
    pub(crate) fn of32(key: &[u8; 32]) -> Self {
        let mut bytes = Box::new(Bytes::K32([0; 32]));
        if let Bytes::K32(place) = &mut *bytes {
            place.copy_from_slice(key); // filled in its place on the heap
        }
        Self(bytes)
    }

    /// Makes a key of 16 bytes.
    ///
    /// # Errors
    /// [`Error::RandomStuck`], [`Error::RandomUnavailable`].
    pub fn generate16() -> Result<Self, Error> {
        Self::generate(16)
    }

    /// Makes a key of 24 bytes.
    ///
    /// # Errors
    /// [`Error::RandomStuck`], [`Error::RandomUnavailable`].
    pub fn generate24() -> Result<Self, Error> {
        Self::generate(24)
    }

    /// Makes a key of 32 bytes.
    ///
    /// # Errors
    /// [`Error::RandomStuck`], [`Error::RandomUnavailable`].
    pub fn generate32() -> Result<Self, Error> {
        Self::generate(32)
    }

    fn generate(len: usize) -> Result<Self, Error> {
        let mut key = Zeroizing::new(vec![0; len]);
        random::fill(&mut key)?;
        Self::from_bytes(&key)
    }

    /// The clear key bytes. The caller wipes every copy that it makes.
    pub fn expose(&self) -> &[u8] {
        match &*self.0 {
            Bytes::K16(key) => key,
            Bytes::K24(key) => key,
            Bytes::K32(key) => key,
        }
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Check value: the first 5 bytes of CMAC over 16 zero bytes (X9.24-1 annex A; 2-wire.md section 2, tag
    /// DF0B). Legacy systems show 3 of them.
    pub fn kcv(&self) -> [u8; 5] {
        let [a, b, c, d, e, ..] = mac::cmac_aes(self, &[0; BLOCK]);
        [a, b, c, d, e]
    }

    /// The legacy check value: the first 3 bytes of 16 zero bytes encrypted. For comparing with old
    /// systems only, since it tells part of an encryption that a CMAC subkey is made from.
    pub fn kcv_legacy(&self) -> [u8; 3] {
        let [a, b, c, ..] = self.encrypt_block([0; BLOCK]);
        [a, b, c]
    }

    /// One block encrypted.
    pub fn encrypt_block(&self, block: [u8; BLOCK]) -> [u8; BLOCK] {
        let mut block = block.into();
        match &*self.0 {
            Bytes::K16(key) => Aes128::new(key.into()).encrypt_block(&mut block),
            Bytes::K24(key) => Aes192::new(key.into()).encrypt_block(&mut block),
            Bytes::K32(key) => Aes256::new(key.into()).encrypt_block(&mut block),
        }
        block.into()
    }

    /// One block decrypted.
    pub fn decrypt_block(&self, block: [u8; BLOCK]) -> [u8; BLOCK] {
        let mut block = block.into();
        match &*self.0 {
            Bytes::K16(key) => Aes128::new(key.into()).decrypt_block(&mut block),
            Bytes::K24(key) => Aes192::new(key.into()).decrypt_block(&mut block),
            Bytes::K32(key) => Aes256::new(key.into()).decrypt_block(&mut block),
        }
        block.into()
    }
}
