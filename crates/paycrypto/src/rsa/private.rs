//! RSA private keys.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use zeroize::Zeroizing;

use super::library::RsaKey;
use super::{RsaError, check};
use crate::random;

/// A prepared RSA private key of 2 048 to 4 096 bits with an odd exponent of at least 65 537. Parsed once,
/// then used from any number of threads.
pub struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    spki: Vec<u8>,
    oaep: OaepPrivateDecryptingKey,
    signing: RsaKeyPair,
    raw: RsaKey,
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({} bits)", self.bits())
    }
}

impl PrivateKey {
    /// Makes a key of 2 048, 3 072 or 4 096 bits with exponent 65 537. Takes up to seconds.
    ///
    /// # Errors
    /// [`RsaError::CannotGenerate`], [`RsaError::Generate`].
    pub fn generate(bits: u32) -> Result<Self, RsaError> {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            _ => return Err(RsaError::CannotGenerate { bits }),
        };
        random::check().map_err(|_| RsaError::Generate)?;
        let key = PrivateDecryptingKey::generate(size).map_err(|_| RsaError::Generate)?;
        let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| RsaError::Generate)?;
        Self::from_pkcs8(der.as_ref())
    }

    /// Parses an unencrypted PKCS #8 key (RFC 5958), DER, the whole input; checks that its parts fit.
    ///
    /// # Errors
    /// [`RsaError::Malformed`], [`RsaError::Bits`], [`RsaError::WeakExponent`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, RsaError> {
        let raw = RsaKey::from_pkcs8(der)?;
        check(&raw)?;
        let malformed = |_| RsaError::Malformed;
        let key = PrivateDecryptingKey::from_pkcs8(der).map_err(malformed)?;
        let spki: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| RsaError::Malformed)?;
        let signing = RsaKeyPair::from_pkcs8(der).map_err(malformed)?;
        Ok(Self {
            pkcs8: Zeroizing::new(der.to_vec()),
            spki: spki.as_ref().to_vec(),
            oaep: OaepPrivateDecryptingKey::new(key).map_err(|_| RsaError::Malformed)?,
            signing,
            raw,
        })
    }

    /// The key as PKCS #8, DER, unencrypted; for sealing it at once.
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        self.pkcs8.clone()
    }

    /// The public key as SubjectPublicKeyInfo, DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> u32 {
        self.raw.bits()
    }

    /// Opens OAEP with SHA-256, MGF1-SHA-256 and an empty label (2-wire.md section 4).
    ///
    /// # Errors
    /// [`RsaError::Decrypt`], the same for every failure.
    pub fn oaep_decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, RsaError> {
        let mut plaintext = Zeroizing::new(vec![0; self.oaep.min_output_size()]);
        let len = self
            .oaep
            .decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut plaintext, None)
            .map_err(|_| RsaError::Decrypt)?
            .len();
        plaintext.truncate(len);
        Ok(plaintext)
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2): certificates, CMS.
    ///
    /// # Errors
    /// [`RsaError::Sign`].
    pub fn sign_pkcs1_sha256(&self, message: &[u8]) -> Result<Vec<u8>, RsaError> {
        self.sign(&RSA_PKCS1_SHA256, message)
    }

    /// RSASSA-PSS with SHA-256, MGF1-SHA-256 and a 32-byte salt (2-wire.md section 2, tag DF49).
    ///
    /// # Errors
    /// [`RsaError::Sign`].
    pub fn sign_pss_sha256(&self, message: &[u8]) -> Result<Vec<u8>, RsaError> {
        self.sign(&RSA_PSS_SHA256, message)
    }

    fn sign(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Result<Vec<u8>, RsaError> {
        let mut signature = vec![0; self.signing.public_modulus_len()];
        self.signing
            .sign(encoding, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| RsaError::Sign)?;
        Ok(signature)
    }

    /// Signs with message recovery: the private operation over `00 01 FF… 00 message`, no digest (2-wire.md
    /// section 4, flow B).
    ///
    /// # Errors
    /// [`RsaError::Type1TooLong`], [`RsaError::Sign`].
    pub fn type1_sign(&self, message: &[u8]) -> Result<Vec<u8>, RsaError> {
        self.raw.type1_sign(message)
    }
}
