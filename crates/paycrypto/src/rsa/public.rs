//! RSA public keys.

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};

use super::library::RsaKey;
use super::{RsaError, check};

/// A prepared RSA public key of 2 048 to 4 096 bits with an odd exponent of at least 65 537.
pub struct PublicKey {
    oaep: OaepPublicEncryptingKey,
    raw: RsaKey,
    spki: Vec<u8>,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({} bits)", self.bits())
    }
}

impl PublicKey {
    /// Parses a SubjectPublicKeyInfo (RFC 5280 section 4.1), DER, the whole input.
    ///
    /// # Errors
    /// [`RsaError::Malformed`], [`RsaError::Bits`], [`RsaError::WeakExponent`].
    pub fn from_spki(der: &[u8]) -> Result<Self, RsaError> {
        let raw = RsaKey::from_spki(der)?;
        check(&raw)?;
        let key = PublicEncryptingKey::from_der(der).map_err(|_| RsaError::Malformed)?;
        let oaep = OaepPublicEncryptingKey::new(key).map_err(|_| RsaError::Malformed)?;
        Ok(Self { oaep, raw, spki: der.to_vec() })
    }

    /// The SubjectPublicKeyInfo, DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> u32 {
        self.raw.bits()
    }

    /// OAEP with SHA-256, MGF1-SHA-256 and an empty label (2-wire.md section 4).
    ///
    /// # Errors
    /// [`RsaError::Encrypt`] when the message is longer than the modulus less 66 bytes.
    pub fn oaep_encrypt(&self, message: &[u8]) -> Result<Vec<u8>, RsaError> {
        let mut ciphertext = vec![0; self.oaep.ciphertext_size()];
        let len = self
            .oaep
            .encrypt(&OAEP_SHA256_MGF1SHA256, message, &mut ciphertext, None)
            .map_err(|_| RsaError::Encrypt { len: message.len() })?
            .len();
        ciphertext.truncate(len);
        Ok(ciphertext)
    }

    /// Recovers the message of a type 1 signature: `00 01`, at least eight `FF`, `00`, then the message to
    /// the last byte (2-wire.md section 4, flow B). Whether the message itself has anything too much is
    /// for its parser.
    ///
    /// # Errors
    /// [`RsaError::Type1`] with the exact reason.
    pub fn type1_recover(&self, signature: &[u8]) -> Result<Vec<u8>, RsaError> {
        Ok(self.raw.type1_recover(signature)?)
    }
}
