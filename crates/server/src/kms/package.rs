//! A signed upload: from bytes to content that is known to be a card holder's (2-wire.md section 6).

use std::{fmt::Write as _, net::IpAddr};

use hsm::Hsm;
use pki::{
    Certificate, CertificateRefusal, KeyFamily, Role, Verified,
    cms::{self, SignedPackage},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{Person, Store};

use super::{Kms, ceremonies::CeremonyRefusal, event};
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
    /// Both signatures may be one person's.
    #[error(
        "both signatures may be one person's: an operator and an administrator sign, each with a card of their own"
    )]
    SamePerson,
    /// The ceremony that it names is none of this station's, or over.
    #[error("{0}")]
    Ceremony(#[from] CeremonyRefusal),
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
            Self::SamePerson => "same-person",
            Self::Ceremony(refusal) => refusal.code(),
            Self::Duplicate => "received-before",
            Self::Failure(_) => "internal",
        }
    }
}

/// A package whose signers hold the roles that may sign it. Its content was not read yet.
pub(crate) struct Authentic {
    content: Vec<u8>,
    /// The one signer; of two, the operator.
    pub(crate) signer: Person,
    /// The administrator, where two must sign.
    pub(crate) second: Option<Person>,
    /// SHA-256 of the root that the one signer's certificate leads to; of two, the operator's.
    pub(crate) root_sha256: String,
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
        hex(&self.digest)
    }

    /// Believes a package that one card holder signed.
    pub(crate) fn of_one(trust: &Trust, package: SignedPackage, role: Role) -> Result<Self, UploadRefusal> {
        let signer = package.only_signer()?;
        let verified = trust.verify(&signer.certificate, &signer.intermediates, role)?;
        if role == Role::Mtms && KeyFamily::of(signer.certificate.spki_der()) == Ok(KeyFamily::P256) {
            // With P-256 an MTMS has two certificates, and the one for key agreement signs nothing (3-hardened.md).
            verified.signing_key()?;
        }
        let signer = person(verified.certificate());
        let (digest, root_sha256) = (digest(&[&verified], &package.content), verified.root().sha256_hex());
        Ok(Self { content: package.content, signer, second: None, root_sha256, digest })
    }

    /// Believes a package that an operator and an administrator signed: two people, each with a card of their own (R12).
    pub(crate) fn of_both(trust: &Trust, package: SignedPackage) -> Result<Self, UploadRefusal> {
        let check = |signer: &cms::CheckedSigner, role| {
            trust.verify(&signer.certificate, &signer.intermediates, role)
        };
        let [operator, administrator] =
            cms::verify_both(&package, [Role::Operator, Role::Administrator], check).map_err(both)?;
        let digest = digest(&[&operator, &administrator], &package.content);
        let (signer, second) = (person(operator.certificate()), person(administrator.certificate()));
        if signer.may_be(&second) {
            return Err(UploadRefusal::SamePerson);
        }
        let root_sha256 = operator.root().sha256_hex();
        Ok(Self { content: package.content, signer, second: Some(second), root_sha256, digest })
    }
}

fn both(refusal: cms::BothRefusal) -> UploadRefusal {
    match refusal {
        cms::BothRefusal::Package(refusal) => refusal.into(),
        cms::BothRefusal::Certificate(refusal) => refusal.into(),
        // What comes later is refused as what it is nearest to.
        _ => UploadRefusal::SamePerson,
    }
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
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
        let believed = cms::open(package).map_err(UploadRefusal::from);
        let believed = believed.and_then(|package| Authentic::of_one(&self.trust, package, role));
        self.count_refused(what, source, believed)
    }

    /// The same for a package that an operator and an administrator sign.
    pub(crate) fn authenticate_both(
        &self,
        what: &'static str,
        package: &[u8],
        source: IpAddr,
    ) -> Result<Authentic, UploadRefusal> {
        let believed = cms::open(package).map_err(UploadRefusal::from);
        let believed = believed.and_then(|package| Authentic::of_both(&self.trust, package));
        self.count_refused(what, source, believed)
    }

    /// Counts whom nobody believes.
    pub(crate) fn count_refused<T>(
        &self,
        what: &'static str,
        source: IpAddr,
        believed: Result<T, UploadRefusal>,
    ) -> Result<T, UploadRefusal> {
        believed.inspect_err(|refusal| self.refused_uploads.count(source, what, refusal.code()))
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
                             "card": package.signer.certificate_serial,
                             "second_card": package.second.as_ref().map(|person| &person.certificate_serial) });
        let refused = event(kind, package.signer.subject.as_str(), subject, detail);
        self.store.audit_append(refused).await.map_err(super::Failure::from)?;
        Ok(())
    }
}

/// SHA-256 over the signers' certificates and the content. Not over the package's bytes: CMS has parts that no signature
/// covers, and a package re-wrapped by somebody else must still be the one that came before.
fn digest(signers: &[&Verified], content: &[u8]) -> [u8; 32] {
    let certificates = signers.iter().map(|signer| Sha256::digest(signer.certificate().der()));
    let hash = certificates.fold(Sha256::new(), Digest::chain_update);
    hash.chain_update(content).finalize().into()
}

/// A card holder as the audit names them.
fn person(certificate: &Certificate) -> Person {
    Person { subject: certificate.subject().to_string(), certificate_serial: certificate.serial_hex() }
}
