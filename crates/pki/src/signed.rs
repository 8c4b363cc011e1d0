//! `SIGNED { … }` of X.509: the bytes to be signed, the algorithm, the signature. Certificates, revocation
//! lists and certification requests all have this form.

use crate::error::Error;
use crate::key::{Scheme, Signer, verify_signature};
use crate::tlv;

/// AlgorithmIdentifier sha256WithRSAEncryption with its NULL (RFC 4055 section 5).
pub(crate) const SHA256_WITH_RSA: &[u8] =
    &[0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B, 0x05, 0x00];

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

    /// Whether the outer algorithm is sha256WithRSAEncryption.
    pub(crate) fn is_sha256_with_rsa(&self) -> bool {
        self.algorithm == SHA256_WITH_RSA
    }

    /// The encoded outer algorithm.
    pub(crate) fn algorithm(&self) -> &[u8] {
        &self.algorithm
    }

    /// Checks the signature against a public key.
    pub(crate) fn verify(&self, what: &'static str, spki: &[u8]) -> Result<(), Error> {
        if !self.is_sha256_with_rsa() {
            return Err(Error::Algorithm { what });
        }
        verify_signature(spki, Scheme::Pkcs1Sha256, &self.tbs, &self.signature).map_err(|error| match error {
            Error::Key { defect, .. } => Error::Key { what, defect },
            _ => Error::BadSignature { what },
        })
    }

    /// Has `tbs` signed and gives the whole structure in DER.
    pub(crate) fn create(tbs: &[u8], signer: &dyn Signer) -> Result<Vec<u8>, Error> {
        let signature = signer.sign(Scheme::Pkcs1Sha256, tbs)?;
        let bits = tlv::encode(tlv::BIT_STRING, &[&[0], &signature]);
        Ok(tlv::encode(tlv::SEQUENCE, &[tbs, SHA256_WITH_RSA, &bits]))
    }
}
