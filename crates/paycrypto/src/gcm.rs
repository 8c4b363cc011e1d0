//! AES-256-GCM with random nonces (SP 800-38D): sealed state of the software HSM and PIN pad.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use crate::{AesKey, Error};

/// Bytes that sealing adds: nonce and tag.
pub const OVERHEAD: usize = NONCE_LEN + TAG;

/// Length of the tag in bytes.
const TAG: usize = 16;

/// A prepared AES-256-GCM key. Random nonces allow 2^32 messages under one key (SP 800-38D section 8.3).
pub struct GcmKey(RandomizedNonceKey);

impl std::fmt::Debug for GcmKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GcmKey")
    }
}

impl GcmKey {
    /// Prepares a key of 32 bytes.
    ///
    /// # Errors
    /// [`Error::KeyLength`] for a shorter AES key.
    pub fn new(key: &AesKey) -> Result<Self, Error> {
        RandomizedNonceKey::new(&AES_256_GCM, key.expose()).map(Self).map_err(|_| Error::KeyLength {
            algorithm: "AES-256-GCM",
            allowed: "32",
            found: key.expose().len(),
        })
    }

    /// Seals `plaintext`: nonce (12) ‖ ciphertext ‖ tag (16). `associated` says where it belongs; it is
    /// authenticated and not contained.
    ///
    /// # Errors
    /// [`Error::Seal`].
    pub fn seal(&self, associated: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let mut buffer = Zeroizing::new(Vec::with_capacity(plaintext.len() + TAG));
        buffer.extend_from_slice(plaintext);
        let nonce =
            self.0.seal_in_place_append_tag(Aad::from(associated), &mut *buffer).map_err(|_| Error::Seal)?;
        Ok([nonce.as_ref().as_slice(), buffer.as_slice()].concat())
    }

    /// Opens what [`GcmKey::seal`] gave.
    ///
    /// # Errors
    /// [`Error::Open`], whatever the reason.
    pub fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Error::Open)?;
        let mut buffer = Zeroizing::new(rest.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let len =
            self.0.open_in_place(nonce, Aad::from(associated), &mut buffer).map_err(|_| Error::Open)?.len();
        buffer.truncate(len);
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_and_opens_only_with_the_same_key_place_and_bytes() {
        let key = GcmKey::new(&AesKey::generate32().unwrap()).unwrap();
        let sealed = key.seal(b"slot 1", b"something secret").unwrap();
        assert_eq!(sealed.len(), 16 + OVERHEAD);
        assert_eq!(key.open(b"slot 1", &sealed).unwrap().as_slice(), b"something secret");
        assert_eq!(key.open(b"slot 2", &sealed).err(), Some(Error::Open));
        let other = GcmKey::new(&AesKey::generate32().unwrap()).unwrap();
        assert_eq!(other.open(b"slot 1", &sealed).err(), Some(Error::Open));
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(key.open(b"slot 1", &changed).err(), Some(Error::Open), "byte {index}");
        }
        for len in 0..sealed.len() {
            assert_eq!(key.open(b"slot 1", &sealed[..len]).err(), Some(Error::Open), "{len} bytes");
        }
    }

    #[test]
    fn the_same_plaintext_never_seals_alike_and_may_be_empty() {
        let key = GcmKey::new(&AesKey::generate32().unwrap()).unwrap();
        let (a, b) = (key.seal(b"", b"").unwrap(), key.seal(b"", b"").unwrap());
        assert_ne!(a, b);
        assert!(key.open(b"", &a).unwrap().is_empty());
    }

    /// Test case 14 of the GCM specification (McGrew and Viega): key and nonce of zeros, one block of zeros.
    #[test]
    fn opens_a_published_ciphertext() {
        let key = GcmKey::new(&AesKey::from_bytes(&[0; 32]).unwrap()).unwrap();
        let sealed: Vec<u8> = [
            [0; 12].as_slice(),
            &0xcea7_403d_4d60_6b6e_074e_c5d3_baf3_9d18_u128.to_be_bytes(),
            &0xd0d1_c8a7_9999_6bf0_265b_98b5_d48a_b919_u128.to_be_bytes(),
        ]
        .concat();
        assert_eq!(key.open(b"", &sealed).unwrap().as_slice(), [0; 16]);
    }

    #[test]
    fn shorter_aes_keys_are_refused() {
        let short = AesKey::generate16().unwrap();
        let refused = Err(Error::KeyLength { algorithm: "AES-256-GCM", allowed: "32", found: 16 });
        assert_eq!(GcmKey::new(&short).map(|_| ()), refused);
    }
}
