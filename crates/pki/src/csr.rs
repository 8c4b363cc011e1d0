//! Certification requests, PKCS #10 (RFC 2986): a name and a public key, signed by that key.

use der::{Decode, Encode};
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::error::Error;
use crate::key::Signer;
use crate::name::Name;
use crate::pem;
use crate::signed::Signed;

/// Longest request read, in bytes.
pub const MAX_CSR_LEN: usize = 16 * 1024;

const WHAT: &str = "the certification request";
const LABEL: &str = "CERTIFICATE REQUEST";

/// A request whose signature was checked: its sender holds the private key. Nothing else it asks for is
/// believed; extensions are the CA's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    /// The name asked for.
    pub subject: Name,
    /// The public key, as SubjectPublicKeyInfo in DER.
    pub spki: Vec<u8>,
}

/// Makes a request in DER for the signer's key under this name.
///
/// # Errors
/// [`Error::Key`] for a key that this suite does not use, [`Error::Sign`] when the signer does not sign.
pub fn build(subject: &Name, signer: &dyn Signer) -> Result<Vec<u8>, Error> {
    let bad = |error: der::Error| Error::malformed(WHAT, error);
    let info = CertReqInfo {
        version: Version::V1,
        subject: subject.to_rdns()?,
        public_key: SubjectPublicKeyInfoOwned::from_der(signer.spki_der()).map_err(bad)?,
        attributes: Default::default(),
    };
    let der = Signed::create(&info.to_der().map_err(bad)?, signer)?;
    parse_and_verify(&der)?;
    Ok(der)
}

/// A request in DER as PEM text (label `CERTIFICATE REQUEST`).
#[must_use]
pub fn to_pem(der: &[u8]) -> String {
    pem::encode(LABEL, der)
}

/// The DER of a request in PEM.
///
/// # Errors
/// [`Error::Malformed`] or [`Error::TooLong`].
pub fn from_pem(text: &str) -> Result<Vec<u8>, Error> {
    pem::decode(WHAT, LABEL, MAX_CSR_LEN, text)
}

/// Reads a request (DER, whole input) and checks its key and signature.
///
/// # Errors
/// [`Error::Malformed`], [`Error::TooLong`], [`Error::Key`], [`Error::Algorithm`] or [`Error::BadSignature`].
pub fn parse_and_verify(der: &[u8]) -> Result<Csr, Error> {
    if der.len() > MAX_CSR_LEN {
        return Err(Error::TooLong { what: WHAT, len: der.len(), max: MAX_CSR_LEN });
    }
    let bad = |error: der::Error| Error::malformed(WHAT, error);
    let signed = Signed::parse(WHAT, der)?;
    let request = CertReq::from_der(der).map_err(bad)?;
    let spki = request.info.public_key.to_der().map_err(bad)?;
    signed.verify(WHAT, &spki)?;
    Ok(Csr { subject: Name::from_rdns(&request.info.subject)?, spki })
}
