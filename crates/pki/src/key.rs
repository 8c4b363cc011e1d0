//! Public keys: the RSA keys of suite 01, their signatures, and the trait behind which private keys of both suites stay.

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};

use crate::error::{Error, SignError};
use crate::p256::P256PublicKey;
use crate::tlv;

/// Smallest RSA modulus accepted, in bits (2-wire.md section 4).
pub const MIN_RSA_BITS: usize = 2048;
/// Largest RSA modulus accepted, in bits (2-wire.md section 4).
pub const MAX_RSA_BITS: usize = 4096;
/// Smallest RSA public exponent accepted; it must be odd too (2-wire.md section 4).
pub const MIN_RSA_EXPONENT: u64 = 65_537;
/// Largest RSA public exponent that the verifying library computes with: 33 bits.
const MAX_RSA_EXPONENT: u64 = (1 << 33) - 1;
/// Longest SubjectPublicKeyInfo looked at: one of 4 096 bits has about 550 bytes.
const MAX_SPKI_LEN: usize = 4096;

/// AlgorithmIdentifier rsaEncryption with its NULL (RFC 3279 section 2.3.1).
pub(crate) const RSA_ENCRYPTION: &[u8] =
    &[0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00];

/// How a message is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2): certificates, revocation lists, CMS.
    Pkcs1Sha256,
    /// RSASSA-PSS with SHA-256, MGF1-SHA-256 and a 32-byte salt (RFC 8017 section 8.1): field DF49.
    PssSha256,
    /// ECDSA on P-256 with SHA-256, raw r ‖ s, 64 bytes (3-hardened.md, "Primitives"). Certificates, revocation lists and
    /// requests hold it as Ecdsa-Sig-Value; who signs gives it raw all the same.
    EcdsaP256Sha256,
}

/// Which kind of key a chain is made of, from its root to its leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeyFamily {
    /// RSA with SHA-256: suite 01 (2-wire.md section 5).
    #[default]
    Rsa,
    /// ECDSA P-256 with SHA-256: suite 02 (3-hardened.md, "Primitives").
    P256,
}

impl KeyFamily {
    /// How a key of this family signs a text of a flow (DF49): RSASSA-PSS, or ECDSA.
    #[must_use]
    pub fn text_scheme(self) -> Scheme {
        match self {
            Self::Rsa => Scheme::PssSha256,
            Self::P256 => Scheme::EcdsaP256Sha256,
        }
    }

    /// Whether a public key (SubjectPublicKeyInfo, DER) is a good one of this family.
    pub(crate) fn check(self, spki: &[u8]) -> Result<(), KeyDefect> {
        match self {
            Self::Rsa => PublicKey::from_spki(spki).map(|_| ()),
            Self::P256 => P256PublicKey::from_spki(spki).map(|_| ()),
        }
    }
}

impl std::fmt::Display for KeyFamily {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rsa => "RSA",
            Self::P256 => "P-256",
        })
    }
}

/// The holder of a private key: a card, a key file, an HSM.
pub trait Signer {
    /// The public half, as SubjectPublicKeyInfo in DER.
    fn spki_der(&self) -> &[u8];

    /// Signs the message, hashing it with SHA-256.
    ///
    /// # Errors
    /// [`SignError`] when the holder refuses or cannot, as with a scheme of another kind of key.
    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// What is wrong with a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyDefect {
    /// Not the encoding of an RSA key.
    #[error("the public key is malformed")]
    Malformed,
    /// Another algorithm than rsaEncryption.
    #[error("the public key is not an RSA key")]
    NotRsa,
    /// The modulus is too short or too long.
    #[error(
        "the RSA key has {bits} bits; from {MIN_RSA_BITS} to {MAX_RSA_BITS} are accepted: make another key"
    )]
    Size {
        /// Bits of the modulus.
        bits: usize,
    },
    /// The modulus is even: no product of two odd primes.
    #[error("the RSA modulus is even: make another key")]
    EvenModulus,
    /// The exponent is even, too small or too large.
    #[error("the RSA exponent is even, below {MIN_RSA_EXPONENT} or above 33 bits: make another key")]
    Exponent,
    /// Not a P-256 key, or not in the form of an uncompressed point on a named curve.
    #[error("the public key is not a P-256 key with an uncompressed point")]
    NotP256,
    /// The point is not on the curve.
    #[error("the P-256 public key is not on its curve")]
    Point,
}

/// An RSA public key whose size and exponent were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// RSAPublicKey of RFC 8017 appendix A.1.1, DER.
    pkcs1: Vec<u8>,
    bits: usize,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo (DER, whole input) and checks it against 2-wire.md section 4.
    ///
    /// # Errors
    /// The [`KeyDefect`] that the key has.
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyDefect> {
        if spki.len() > MAX_SPKI_LEN {
            return Err(KeyDefect::Malformed);
        }
        let malformed = |_: tlv::Defect| KeyDefect::Malformed;
        let mut outer = tlv::Reader::new(tlv::whole(spki, tlv::SEQUENCE).map_err(malformed)?.value);
        let algorithm = outer.expect(tlv::SEQUENCE).map_err(malformed)?;
        let bits = outer.expect(tlv::BIT_STRING).map_err(malformed)?.value;
        outer.finish().map_err(malformed)?;
        if algorithm.raw != RSA_ENCRYPTION {
            return Err(KeyDefect::NotRsa);
        }
        let Some((0, pkcs1)) = bits.split_first() else { return Err(KeyDefect::Malformed) };
        let mut inner = tlv::Reader::new(tlv::whole(pkcs1, tlv::SEQUENCE).map_err(malformed)?.value);
        let modulus = inner.expect(tlv::INTEGER).map_err(malformed)?.value;
        let exponent = inner.expect(tlv::INTEGER).map_err(malformed)?.value;
        inner.finish().map_err(malformed)?;
        let modulus = tlv::positive(modulus).ok_or(KeyDefect::Malformed)?;
        let exponent = tlv::positive(exponent).ok_or(KeyDefect::Malformed)?;

        let bits = bit_length(modulus);
        if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
            return Err(KeyDefect::Size { bits });
        }
        if modulus.last().is_none_or(|byte| byte % 2 == 0) {
            return Err(KeyDefect::EvenModulus);
        }
        if exponent.len() > 8 {
            return Err(KeyDefect::Exponent);
        }
        let exponent = exponent.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
        if exponent % 2 == 0 || !(MIN_RSA_EXPONENT..=MAX_RSA_EXPONENT).contains(&exponent) {
            return Err(KeyDefect::Exponent);
        }
        Ok(Self { pkcs1: pkcs1.to_vec(), bits })
    }

    /// Bits of the modulus.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Whether `signature` is this key's over `message`; never by a scheme of another kind of key.
    #[must_use]
    pub fn verifies(&self, scheme: Scheme, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match scheme {
            Scheme::Pkcs1Sha256 => &RSA_PKCS1_2048_8192_SHA256,
            Scheme::PssSha256 => &RSA_PSS_2048_8192_SHA256,
            Scheme::EcdsaP256Sha256 => return false,
        };
        UnparsedPublicKey::new(algorithm, &self.pkcs1).verify(message, signature).is_ok()
    }
}

/// Checks the key, which must be of the scheme's kind (RSA: 2 048 to 4 096 bits, odd exponent of at least 65 537; P-256:
/// on the curve), and its signature over `message`.
///
/// # Errors
/// [`Error::Key`] for a key that is not used here, [`Error::BadSignature`] for any other failure.
pub fn verify_signature(spki: &[u8], scheme: Scheme, message: &[u8], signature: &[u8]) -> Result<(), Error> {
    let bad = |defect| Error::Key { what: "the public key", defect };
    let verifies = match scheme {
        Scheme::Pkcs1Sha256 | Scheme::PssSha256 => {
            PublicKey::from_spki(spki).map_err(bad)?.verifies(scheme, message, signature)
        }
        Scheme::EcdsaP256Sha256 => P256PublicKey::from_spki(spki).map_err(bad)?.verifies(message, signature),
    };
    if verifies { Ok(()) } else { Err(Error::BadSignature { what: "the message" }) }
}

/// Identifier of a key: the first 20 bytes of SHA-256 over the bits of the public key (RFC 7093 method 1).
/// `None` when `spki` has not the form of a SubjectPublicKeyInfo.
pub(crate) fn key_identifier(spki: &[u8]) -> Option<Vec<u8>> {
    let mut outer = tlv::Reader::new(tlv::whole(spki, tlv::SEQUENCE).ok()?.value);
    outer.expect(tlv::SEQUENCE).ok()?;
    let (_, bits) = outer.expect(tlv::BIT_STRING).ok()?.value.split_first()?;
    sha256(bits).get(..20).map(<[u8]>::to_vec)
}

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    out
}

fn bit_length(magnitude: &[u8]) -> usize {
    let zeros = magnitude.first().map_or(0, |byte| byte.leading_zeros() as usize);
    magnitude.len() * 8 - zeros
}
