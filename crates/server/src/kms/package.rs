//! A signed upload: from bytes to content that is known to be a card holder's (2-wire.md section 6).

use pki::{Certificate, CertificateRefusal, Role, cms};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use store::Person;

use crate::trust::Trust;

/// Why an upload is refused as a whole; nothing of it is stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadRefusal {
    /// Not CMS SignedData as it should be, or its signature or digest is wrong.
    #[error("the signature is not good: {0}")]
    Signature(#[from] cms::CmsRefusal),
    /// The signer's certificate is not good, or not of the role that may sign this.
    #[error("the signer's certificate is refused: {0}")]
    Certificate(#[from] CertificateRefusal),
    /// The content is signed well, and is not what it should be.
    #[error("the signed content cannot be used: {0}")]
    Content(String),
    /// The same bytes came before.
    #[error("this package was received before; nothing was stored twice")]
    Duplicate,
    /// HSM or store failed.
    #[error("{0}")]
    Failure(#[from] super::Failure),
}

impl UploadRefusal {
    /// A code for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Signature(_) => "bad-signature",
            Self::Certificate(CertificateRefusal::Revoked { .. }) => "card-revoked",
            Self::Certificate(_) => "card-refused",
            Self::Content(_) => "bad-content",
            Self::Duplicate => "received-before",
            Self::Failure(_) => "internal",
        }
    }
}

/// Content whose signer holds the role it was opened for.
pub(crate) struct Signed<T> {
    pub(crate) content: T,
    pub(crate) signer: Person,
    /// SHA-256 of the whole package.
    pub(crate) digest: [u8; 32],
}

/// Checks signature, chain, role and revocation, then reads the JSON inside.
pub(crate) fn open<T: DeserializeOwned>(
    trust: &Trust,
    package: &[u8],
    role: Role,
) -> Result<Signed<T>, UploadRefusal> {
    let opened = cms::open(package)?;
    let signer = opened.only_signer()?;
    let verified = trust.verify(&signer.certificate, &signer.intermediates, role)?;
    let content =
        serde_json::from_slice(&opened.content).map_err(|e| UploadRefusal::Content(e.to_string()))?;
    Ok(Signed { content, signer: person(verified.certificate()), digest: Sha256::digest(package).into() })
}

/// A card holder as the audit names them.
fn person(certificate: &Certificate) -> Person {
    Person { subject: certificate.subject().to_string(), certificate_serial: certificate.serial_hex() }
}
