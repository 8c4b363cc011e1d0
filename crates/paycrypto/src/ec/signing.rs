//! ECDSA on P-256 with SHA-256; signatures are raw r ‖ s.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::encoding::EcPrivateKeyBin;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
};
use zeroize::Zeroizing;

use super::TranscriptHash;
use super::agreement::{SCALAR, public_of};
use super::point::{POINT, PublicPoint, spki};
use crate::{Error, random};

/// Bytes of a signature: r ‖ s.
pub const SIGNATURE: usize = 64;

/// A private key for ECDSA on P-256, and for nothing else. aws-lc wipes it when it is dropped; the random number in each
/// signature is aws-lc's.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    public: [u8; POINT],
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// Makes a key with aws-lc's own generator, after the health test of the source that seeds it.
    ///
    /// # Errors
    /// [`Error::RandomStuck`], [`Error::RandomUnavailable`].
    pub fn generate() -> Result<Self, Error> {
        random::check()?;
        let pair =
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| Error::RandomUnavailable)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| Error::Scalar)?;
        Ok(Self { pair, public })
    }

    /// Takes a key that was kept. The caller wipes its copy.
    ///
    /// # Errors
    /// [`Error::Scalar`] for zero and for numbers from the curve's order on.
    pub fn from_scalar(scalar: &[u8; SCALAR]) -> Result<Self, Error> {
        let key = PrivateKey::from_private_key(&ECDH_P256, scalar).map_err(|_| Error::Scalar)?;
        let public = public_of(&key)?;
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, scalar, &public)
                .map_err(|_| Error::Scalar)?;
        Ok(Self { pair, public })
    }

    /// The key in clear, for sealing it at once.
    ///
    /// # Errors
    /// [`Error::Scalar`] when the library does not give it.
    pub fn expose(&self) -> Result<Zeroizing<[u8; SCALAR]>, Error> {
        let bytes: EcPrivateKeyBin<'_> = self.pair.private_key().as_be_bytes().map_err(|_| Error::Scalar)?;
        let mut scalar = Zeroizing::new([0; SCALAR]);
        if bytes.as_ref().len() != SCALAR {
            return Err(Error::Scalar);
        }
        scalar.copy_from_slice(bytes.as_ref());
        Ok(scalar)
    }

    /// The public key as SubjectPublicKeyInfo, DER.
    pub fn spki_der(&self) -> Vec<u8> {
        spki(&self.public)
    }

    /// Signs a message, hashing it with SHA-256: certificates, requests, packages (DF49).
    ///
    /// # Errors
    /// [`Error::Sign`].
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE], Error> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| Error::Sign)?;
        signature.as_ref().try_into().map_err(|_| Error::Sign)
    }

    /// Signs a transcript (DF16). The signature is over the transcript string itself, so TH is its digest and is not
    /// hashed again (3-hardened.md, "Transcript and keys").
    ///
    /// # Errors
    /// [`Error::Sign`].
    pub fn sign_transcript(&self, th: &TranscriptHash) -> Result<[u8; SIGNATURE], Error> {
        let digest = Digest::import_less_safe(th, &SHA256).map_err(|_| Error::Sign)?;
        let signature = self.pair.sign_digest(&digest).map_err(|_| Error::Sign)?;
        signature.as_ref().try_into().map_err(|_| Error::Sign)
    }
}

/// A peer's public key for ECDSA on P-256.
pub struct VerifyingKey(ParsedPublicKey);

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VerifyingKey")
    }
}

impl VerifyingKey {
    /// Reads the SubjectPublicKeyInfo of a certificate (DER).
    ///
    /// # Errors
    /// [`Error::Point`].
    pub fn from_spki(spki: &[u8]) -> Result<Self, Error> {
        let point = PublicPoint::from_spki(spki)?;
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.as_bytes()).map(Self).map_err(|_| Error::Point)
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }

    /// Whether `signature` is this key's over the transcript with this digest (DF16).
    pub fn verifies_transcript(&self, th: &TranscriptHash, signature: &[u8]) -> bool {
        Digest::import_less_safe(th, &SHA256)
            .is_ok_and(|digest| self.0.verify_digest_sig(&digest, signature).is_ok())
    }
}
