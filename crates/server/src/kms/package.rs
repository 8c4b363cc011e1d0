//! A signed upload: from bytes to content that is known to be a card holder's (2-wire.md section 6).

use std::{fmt::Write as _, net::IpAddr};

use hsm::Hsm;
use pki::{Certificate, CertificateRefusal, Role, cms};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{Person, Store};

use super::{Kms, event};
use crate::trust::Trust;

/// Characters of a reason that go to the audit: it may quote what came.
const MAX_REASON: usize = 256;

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
    /// Whether it is our own doing and not the package's.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Self::Failure(_))
    }

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

/// A package whose signer holds the role that may sign it. Its content was not read yet.
pub(crate) struct Authentic {
    content: Vec<u8>,
    pub(crate) signer: Person,
    /// What the package is known by: see [`digest`].
    pub(crate) digest: [u8; 32],
}

impl Authentic {
    /// Reads the JSON inside.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, UploadRefusal> {
        let bad = |e: serde_json::Error| UploadRefusal::Content(e.to_string());
        let value: Value = serde_json::from_slice(&self.content).map_err(bad)?;
        // serde would also take an array in place of an object, its fields by position.
        let entries = value.get("terminals").and_then(Value::as_array);
        if !value.is_object() || !entries.is_none_or(|entries| entries.iter().all(Value::is_object)) {
            return Err(UploadRefusal::Content("objects are wanted, by the names of their fields".into()));
        }
        serde_json::from_value(value).map_err(bad)
    }

    /// What was signed.
    pub(crate) fn content(&self) -> &[u8] {
        &self.content
    }

    pub(crate) fn digest_hex(&self) -> String {
        self.digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
            text
        })
    }
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Checks signature, chain, role and revocation. Who fails here has proved nothing, so it is counted for the
    /// audit and not written there one by one.
    pub(crate) fn authenticate(
        &self,
        what: &'static str,
        package: &[u8],
        role: Role,
        source: IpAddr,
    ) -> Result<Authentic, UploadRefusal> {
        authenticate(&self.trust, package, role).inspect_err(|refusal| {
            self.refused_uploads.count(source, what, refusal.code());
        })
    }

    /// Writes to the audit that a card holder's package is refused, and why.
    pub(crate) async fn audit_refused(
        &self,
        kind: &'static str,
        package: &Authentic,
        subject: String,
        (code, reason): (&'static str, String),
    ) -> Result<(), UploadRefusal> {
        let reason: String = reason.chars().take(MAX_REASON).collect();
        let detail = json!({ "code": code, "reason": reason, "package": package.digest_hex(),
                             "card": package.signer.certificate_serial });
        let refused = event(kind, package.signer.subject.as_str(), subject, detail);
        self.store.audit_append(refused).await.map_err(super::Failure::from)?;
        Ok(())
    }
}

fn authenticate(trust: &Trust, package: &[u8], role: Role) -> Result<Authentic, UploadRefusal> {
    let opened = cms::open(package)?;
    let signer = opened.only_signer()?;
    let verified = trust.verify(&signer.certificate, &signer.intermediates, role)?;
    let signer = person(verified.certificate());
    let digest = digest(verified.certificate(), &opened.content);
    Ok(Authentic { content: opened.content, signer, digest })
}

/// SHA-256 over the signer's certificate and the content. Not over the package's bytes: CMS has parts that no signature
/// covers, and a package re-wrapped by somebody else must still be the one that came before.
fn digest(signer: &Certificate, content: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(Sha256::digest(signer.der())).chain_update(content).finalize().into()
}

/// A card holder as the audit names them.
fn person(certificate: &Certificate) -> Person {
    Person { subject: certificate.subject().to_string(), certificate_serial: certificate.serial_hex() }
}
