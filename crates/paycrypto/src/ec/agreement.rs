//! Private keys for key agreement, and what two of them agree on.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, agree};
use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use zeroize::Zeroizing;

use super::point::{POINT, PublicPoint, spki};
use super::{Secret32, secret};
use crate::{Error, random};

/// Bytes of a private key: a number from 1 to the order of P-256 less 1, big-endian.
pub const SCALAR: usize = 32;

/// A private key for ECDH on P-256, static or ephemeral, and for nothing else. aws-lc wipes it when it is dropped.
pub struct AgreementKey {
    key: PrivateKey,
    public: [u8; POINT],
}

impl std::fmt::Debug for AgreementKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AgreementKey")
    }
}

impl AgreementKey {
    /// Makes a key with aws-lc's own generator, after the health test of the source that seeds it. A scalar from the
    /// tested source itself would cost six times as much, because the library checks what it did not make.
    ///
    /// # Errors
    /// [`Error::RandomStuck`], [`Error::RandomUnavailable`].
    pub fn generate() -> Result<Self, Error> {
        random::check()?;
        let key = PrivateKey::generate(&ECDH_P256).map_err(|_| Error::RandomUnavailable)?;
        let public = public_of(&key)?;
        Ok(Self { key, public })
    }

    /// Takes a key that was kept. The caller wipes its copy.
    ///
    /// # Errors
    /// [`Error::Scalar`] for zero and for numbers from the curve's order on.
    pub fn from_scalar(scalar: &[u8; SCALAR]) -> Result<Self, Error> {
        let key = PrivateKey::from_private_key(&ECDH_P256, scalar).map_err(|_| Error::Scalar)?;
        let public = public_of(&key)?;
        Ok(Self { key, public })
    }

    /// The key in clear, for sealing it at once.
    ///
    /// # Errors
    /// [`Error::Scalar`] when the library does not give it.
    pub fn expose(&self) -> Result<Zeroizing<[u8; SCALAR]>, Error> {
        let bytes: EcPrivateKeyBin<'_> = self.key.as_be_bytes().map_err(|_| Error::Scalar)?;
        let mut scalar = Zeroizing::new([0; SCALAR]);
        if bytes.as_ref().len() != SCALAR {
            return Err(Error::Scalar);
        }
        scalar.copy_from_slice(bytes.as_ref());
        Ok(scalar)
    }

    /// The public key, uncompressed: what DF13 carries.
    pub fn public(&self) -> &[u8; POINT] {
        &self.public
    }

    /// The public key as SubjectPublicKeyInfo, DER.
    pub fn spki_der(&self) -> Vec<u8> {
        spki(&self.public)
    }

    /// Z of 3-hardened.md: the x coordinate of the point that both sides come to (SP 800-56A revision 3 section
    /// 5.7.1.2).
    ///
    /// # Errors
    /// [`Error::Agreement`]; does not happen with a point that was checked.
    pub fn agree(&self, peer: &PublicPoint) -> Result<SharedSecret, Error> {
        agree(&self.key, peer.parsed(), Error::Agreement, |z| {
            z.try_into().map(|z| SharedSecret(secret(z))).map_err(|_| Error::Agreement)
        })
    }
}

/// Z: what two keys agree on. Wiped when dropped.
pub struct SharedSecret(Secret32);

impl SharedSecret {
    /// Takes a Z that was kept sealed between two steps of a flow. The caller wipes its copy.
    pub fn from_bytes(z: &[u8; SCALAR]) -> Self {
        Self(secret(z))
    }

    /// Z in clear. The caller wipes every copy that it makes.
    pub fn expose(&self) -> &[u8; SCALAR] {
        &self.0
    }
}

impl std::fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedSecret")
    }
}

/// The uncompressed public key of a private one.
pub(super) fn public_of(key: &PrivateKey) -> Result<[u8; POINT], Error> {
    let public = key.compute_public_key().map_err(|_| Error::Scalar)?;
    public.as_ref().try_into().map_err(|_| Error::Scalar)
}
