//! A signing key in memory: RSA for suite 01, P-256 for suite 02.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use pkcs8::der::Decode as _;
use pkcs8::{ObjectIdentifier, PrivateKeyInfo};
use pki::{KeyFamily, Scheme, SignError, Signer};
use zeroize::Zeroizing;

use crate::error::Error;

/// rsaEncryption (RFC 8017 appendix A.1).
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// id-ecPublicKey (RFC 5480 section 2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// Which key is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA of this many bits, 2 048, 3 072 or 4 096: suite 01.
    Rsa(usize),
    /// P-256: suite 02.
    P256,
}

impl KeyKind {
    /// The kind of a CA, card or key file of this family unless asked otherwise: 3 072 bits where it is RSA.
    #[must_use]
    pub fn usual(family: KeyFamily) -> Self {
        match family {
            KeyFamily::Rsa => Self::Rsa(DEFAULT_RSA_BITS),
            KeyFamily::P256 => Self::P256,
        }
    }
}

/// Bits of an RSA key unless asked otherwise.
pub const DEFAULT_RSA_BITS: usize = 3072;

/// A signing key in this process's memory, opened from a key file. It cannot be copied or shown; it wipes itself
/// when it is dropped.
pub struct SoftSigner {
    pair: Pair,
    spki: Vec<u8>,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl SoftSigner {
    /// Reads a key in clear, PKCS #8 (RFC 5208).
    pub(crate) fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Error> {
        let info = PrivateKeyInfo::from_der(pkcs8).map_err(|_| Error::KeyFile("it holds no PKCS #8 key"))?;
        let pair = match info.algorithm.oid {
            RSA_ENCRYPTION => RsaKeyPair::from_pkcs8(pkcs8)
                .map(Pair::Rsa)
                .map_err(|_| Error::KeyFile("it holds no usable RSA key"))?,
            EC_PUBLIC_KEY => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
                .map(Pair::P256)
                .map_err(|_| Error::KeyFile("it holds no usable P-256 key"))?,
            _ => return Err(Error::KeyFile("it holds neither an RSA nor a P-256 key")),
        };
        Self::new(pair)
    }

    fn new(pair: Pair) -> Result<Self, Error> {
        let unwritten = |_| Error::KeyFile("its public key cannot be written");
        let spki: PublicKeyX509Der<'_> = match &pair {
            Pair::Rsa(pair) => pair.public_key().as_der().map_err(unwritten)?,
            Pair::P256(pair) => pair.public_key().as_der().map_err(unwritten)?,
        };
        let spki = spki.as_ref().to_vec();
        KeyFamily::of(&spki).map_err(|defect| pki::Error::Key { what: "the key file", defect })?;
        Ok(Self { pair, spki })
    }

    /// Makes a key; gives it and its clear PKCS #8.
    pub(crate) fn generate(kind: KeyKind) -> Result<(Self, Zeroizing<Vec<u8>>), Error> {
        let (pair, pkcs8) = match kind {
            KeyKind::Rsa(bits) => {
                let pair = RsaKeyPair::generate(size(bits)?)
                    .map_err(|_| Error::Crypto("no RSA key could be made"))?;
                // Wiped by its own drop.
                let pkcs8: Pkcs8V1Der<'_> =
                    pair.as_der().map_err(|_| Error::Crypto("the RSA key could not be written"))?;
                let pkcs8 = Zeroizing::new(pkcs8.as_ref().to_vec());
                (Pair::Rsa(pair), pkcs8)
            }
            KeyKind::P256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                    .map_err(|_| Error::Crypto("no P-256 key could be made"))?;
                let pkcs8 =
                    pair.to_pkcs8v1().map_err(|_| Error::Crypto("the P-256 key could not be written"))?;
                let pkcs8 = Zeroizing::new(pkcs8.as_ref().to_vec());
                (Pair::P256(pair), pkcs8)
            }
        };
        Ok((Self::new(pair)?, pkcs8))
    }

    /// Which kind of key it is.
    #[must_use]
    pub fn family(&self) -> KeyFamily {
        match self.pair {
            Pair::Rsa(_) => KeyFamily::Rsa,
            Pair::P256(_) => KeyFamily::P256,
        }
    }
}

fn size(bits: usize) -> Result<KeySize, Error> {
    match bits {
        2048 => Ok(KeySize::Rsa2048),
        3072 => Ok(KeySize::Rsa3072),
        4096 => Ok(KeySize::Rsa4096),
        _ => Err(Error::KeySize { bits }),
    }
}

impl std::fmt::Debug for SoftSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SoftSigner(..)")
    }
}

impl Signer for SoftSigner {
    fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match (&self.pair, scheme) {
            (Pair::Rsa(pair), Scheme::Pkcs1Sha256) => sign_rsa(pair, &RSA_PKCS1_SHA256, message),
            (Pair::Rsa(pair), Scheme::PssSha256) => sign_rsa(pair, &RSA_PSS_SHA256, message),
            (Pair::P256(pair), Scheme::EcdsaP256Sha256) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SignError::new("the P-256 operation failed")),
            (Pair::Rsa(_), Scheme::EcdsaP256Sha256) => Err(SignError::new("the key file holds an RSA key")),
            (Pair::P256(_), Scheme::Pkcs1Sha256 | Scheme::PssSha256) => {
                Err(SignError::new("the key file holds a P-256 key"))
            }
        }
    }
}

fn sign_rsa(
    pair: &RsaKeyPair,
    encoding: &'static dyn RsaEncoding,
    message: &[u8],
) -> Result<Vec<u8>, SignError> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
        .map_err(|_| SignError::new("the RSA operation failed"))?;
    Ok(signature)
}
