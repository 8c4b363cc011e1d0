//! `SIGNED { … }` of X.509: the bytes to be signed, the algorithm, the signature. Certificates, revocation
//! lists and certification requests all have this form.

use crate::error::Error;
use crate::error::SignError;
use crate::key::{KeyFamily, Scheme, Signer, verify_signature};
use crate::p256::{self, P256PublicKey};
use crate::tlv;

/// AlgorithmIdentifier sha256WithRSAEncryption with its NULL (RFC 4055 section 5).
pub(crate) const SHA256_WITH_RSA: &[u8] =
    &[0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B, 0x05, 0x00];

/// AlgorithmIdentifier ecdsa-with-SHA256, without parameters (RFC 5758 section 3.2).
pub(crate) const ECDSA_WITH_SHA256: &[u8] =
    &[0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];

/// The AlgorithmIdentifier of what the holder of this public key signs (SubjectPublicKeyInfo, DER).
pub(crate) fn algorithm_of(spki: &[u8]) -> &'static [u8] {
    if p256::is_p256(spki) { ECDSA_WITH_SHA256 } else { SHA256_WITH_RSA }
}

/// What the signer's kind of key makes of `message` in certificates, lists, requests and CMS: RSA PKCS #1 v1.5, or ECDSA as
/// Ecdsa-Sig-Value (RFC 3279 section 2.2.3).
pub(crate) fn sign(signer: &dyn Signer, message: &[u8]) -> Result<Vec<u8>, Error> {
    if p256::is_p256(signer.spki_der()) {
        let raw = signer.sign(Scheme::EcdsaP256Sha256, message)?;
        Ok(p256::to_der(&raw).ok_or_else(|| SignError::new("it gave something else than r and s"))?)
    } else {
        Ok(signer.sign(Scheme::Pkcs1Sha256, message)?)
    }
}

/// The three parts, as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    tbs: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    /// Cuts `der` into its parts, checking nothing but the form.
    pub(crate) fn parse(what: &'static str, der: &[u8]) -> Result<Self, Error> {
        Self::cut(der).map_err(|why| Error::malformed(what, why))
    }

    fn cut(der: &[u8]) -> Result<Self, tlv::Defect> {
        let mut reader = tlv::Reader::new(tlv::whole(der, tlv::SEQUENCE)?.value);
        let tbs = reader.expect(tlv::SEQUENCE)?.raw.to_vec();
        let algorithm = reader.expect(tlv::SEQUENCE)?.raw.to_vec();
        let bits = reader.expect(tlv::BIT_STRING)?.value;
        reader.finish()?;
        let Some((0, signature)) = bits.split_first() else {
            return Err("its signature is not a whole number of bytes");
        };
        Ok(Self { tbs, algorithm, signature: signature.to_vec() })
    }

    /// The bytes under the signature, without the tag and length around them.
    pub(crate) fn tbs_value(&self) -> &[u8] {
        tlv::whole(&self.tbs, tlv::SEQUENCE).map_or(&[], |tlv| tlv.value)
    }

    /// The kind of key that the outer algorithm is of, where it is one of the two that are used.
    pub(crate) fn family(&self) -> Option<KeyFamily> {
        match self.algorithm.as_slice() {
            SHA256_WITH_RSA => Some(KeyFamily::Rsa),
            ECDSA_WITH_SHA256 => Some(KeyFamily::P256),
            _ => None,
        }
    }

    /// The encoded outer algorithm.
    pub(crate) fn algorithm(&self) -> &[u8] {
        &self.algorithm
    }

    /// Checks the signature against a public key.
    pub(crate) fn verify(&self, what: &'static str, spki: &[u8]) -> Result<(), Error> {
        match self.family() {
            None => Err(Error::Algorithm { what }),
            Some(KeyFamily::Rsa) => verify_signature(spki, Scheme::Pkcs1Sha256, &self.tbs, &self.signature)
                .map_err(|error| match error {
                    Error::Key { defect, .. } => Error::Key { what, defect },
                    _ => Error::BadSignature { what },
                }),
            Some(KeyFamily::P256) => {
                let key = P256PublicKey::from_spki(spki).map_err(|defect| Error::Key { what, defect })?;
                let verifies = key.verifies_der(&self.tbs, &self.signature);
                if verifies { Ok(()) } else { Err(Error::BadSignature { what }) }
            }
        }
    }

    /// Has `tbs` signed and gives the whole structure in DER. The signer's key says by which algorithm.
    pub(crate) fn create(tbs: &[u8], signer: &dyn Signer) -> Result<Vec<u8>, Error> {
        let signature = sign(signer, tbs)?;
        let bits = tlv::encode(tlv::BIT_STRING, &[&[0], &signature]);
        Ok(tlv::encode(tlv::SEQUENCE, &[tbs, algorithm_of(signer.spki_der()), &bits]))
    }
}
