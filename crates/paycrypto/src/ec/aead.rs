//! AES-256-GCM with a nonce that the caller vouches for (SP 800-38D section 8.2.1).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::Error;

/// Bytes of the tag.
pub(super) const TAG: usize = 16;

/// A prepared key. aws-lc wipes it when it is dropped.
pub(super) struct GcmKey(LessSafeKey);

impl GcmKey {
    pub(super) fn new(key: &[u8; 32]) -> Result<Self, Error> {
        UnboundKey::new(&AES_256_GCM, key).map(|key| Self(LessSafeKey::new(key))).map_err(|_| Error::Seal)
    }

    /// Ciphertext ‖ tag. A nonce is never used twice with one key.
    pub(super) fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        associated: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, Error> {
        // Sealed in its place, so of full size from the start: growing would leave the plaintext behind.
        let mut buffer = Vec::with_capacity(plaintext.len() + TAG);
        buffer.extend_from_slice(plaintext);
        let nonce = Nonce::assume_unique_for_key(nonce);
        match self.0.seal_in_place_append_tag(nonce, Aad::from(associated), &mut buffer) {
            Ok(()) => Ok(buffer),
            Err(_) => {
                zeroize::Zeroize::zeroize(&mut buffer);
                Err(Error::Seal)
            }
        }
    }

    pub(super) fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        associated: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let len =
            self.0.open_in_place(nonce, Aad::from(associated), &mut buffer).map_err(|_| Error::Open)?.len();
        buffer.truncate(len);
        Ok(buffer)
    }
}
