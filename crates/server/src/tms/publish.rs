//! Publishing a package: everything that a terminal will check is checked here first, so that a package that no
//! terminal would take never leaves.

use std::sync::Arc;

use pki::{Certificate, CertificateRefusal, KeyFamily, Policy, Role, TrustList};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{NewPackage, PackageOutcome, Store, StoreError, StoredSignature, Vendor};

use super::{
    manifest::{Approval, Manifest},
    plan::{MAX_PLAN_BYTES, entry_bytes},
    repository::{self, Repository, RepositoryError},
};
use crate::{
    clock::now_seconds,
    config::Config,
    kms::event,
    trust::{Trust, TrustError},
};

/// Bytes of a file that are read at once to hash it.
const HASH_CHUNK: usize = 256 * 1024;

/// A package that is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its number in the store.
    pub id: i64,
    /// Whether it was there before, the same in every part.
    pub already_there: bool,
}

/// Why a package is not published. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Nobody entered this vendor.
    #[error("vendor {0} is not known; enter it with `keyferry tms vendor set`")]
    UnknownVendor(String),
    /// A model is none of the vendor's.
    #[error("{0:?} is no model of this vendor")]
    UnknownModel(String),
    /// A certificate cannot be read.
    #[error("the {whose} certificate cannot be read: {source}")]
    Certificate {
        /// Whose.
        whose: Whose,
        /// What is wrong with it.
        source: pki::Error,
    },
    /// A certificate may not sign packages.
    #[error("the {whose} certificate is refused: {source}")]
    Chain {
        /// Whose.
        whose: Whose,
        /// Why.
        source: CertificateRefusal,
    },
    /// A signature is not over this package's name, version, kind, size and hash.
    #[error("the {whose} signature is not over this package's name, version, kind, size and hash")]
    Signature {
        /// Whose.
        whose: Whose,
    },
    /// The vendor's packages need an approval and this one has none.
    #[error("packages of this vendor need the acquirer's approval; `keyferry tms package approve` makes one")]
    NotApproved,
    /// Certificates and signatures are longer than a plan holds.
    #[error("its certificates are too long for one message: use fewer intermediates")]
    TooLong,
    /// The vendor's repository cannot be used.
    #[error(transparent)]
    Open(#[from] repository::OpenError),
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// Where it should be.
        path: String,
        /// Why not.
        source: RepositoryError,
    },
    /// The file is not as long as the manifest says.
    #[error("the file has {found} bytes; the manifest says {wanted}")]
    Size {
        /// What the repository says.
        found: u64,
        /// What the manifest says.
        wanted: u64,
    },
    /// The file is another one.
    #[error("the file's SHA-256 is not the manifest's: it is not the file that was signed")]
    Hash,
    /// Another package has its name and version.
    #[error("another package has this name and version; publish it under a new version")]
    Differs,
    /// The trust settings cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whose signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The vendor's.
    Vendor,
    /// The acquirer's.
    Acquirer,
}

impl std::fmt::Display for Whose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Vendor => "vendor's",
            Self::Acquirer => "acquirer's",
        })
    }
}

/// Checks a package and publishes it: vendor, signatures, and the file itself, which is read to its end.
///
/// The vendor's signer must stand under one of the vendor's roots, the acquirer's under a root of `[trust]` that may
/// issue the role `package-signing`. `actor` is named in the audit.
///
/// # Errors
/// [`PublishError`].
pub async fn publish<S: Store>(
    config: &Config,
    store: &Arc<S>,
    manifest: &Manifest,
    approval: Option<&Approval>,
    actor: &str,
) -> Result<Published, PublishError> {
    let unknown = || PublishError::UnknownVendor(manifest.vendor.to_string());
    let vendor = store.vendor(manifest.vendor.as_str()).await?.ok_or_else(unknown)?;
    let foreign = |model: &&String| !vendor.models.is_empty() && !vendor.models.contains(model);
    if let Some(model) = manifest.models.iter().find(foreign) {
        return Err(PublishError::UnknownModel(model.clone()));
    }
    let trust = Trust::load(config)?;
    let (signature, signed) = (manifest.stored_signature(), manifest.signed_bytes());
    let signer = check_vendor(&trust, &vendor, &signature, &signed)?;
    let approval = approval.map(Approval::stored_signature);
    let approver = approval.as_ref().map(|approval| check_approval(&trust, approval, &signed)).transpose()?;
    if vendor.approval_required && approver.is_none() {
        return Err(PublishError::NotApproved);
    }
    check_length(manifest.name.as_str(), &signature, approval.as_ref())?;
    let repository = repository::open(&vendor.repository, &vendor.id, Arc::clone(store))?;
    check_file(&*repository, manifest).await?;

    let (name, version) = (manifest.name.as_str(), manifest.version.to_string());
    let detail = json!({ "vendor": vendor.id, "name": name, "version": version,
        "kind": manifest.kind.to_string(), "size": manifest.size, "sha256": hex(&manifest.sha256),
        "signer": signer, "approver": approver });
    let event = event("tms.package-published", actor, format!("{name} {version}"), detail);
    let package = NewPackage {
        vendor: vendor.id,
        name: name.to_owned(),
        version,
        kind: manifest.kind.byte(),
        models: manifest.models.clone(),
        size: manifest.size,
        sha256: manifest.sha256,
        signature,
        approval,
        requires: manifest.requires.clone(),
        path: manifest.path.clone(),
    };
    match store.put_package(package, event).await? {
        PackageOutcome::Stored(id) => Ok(Published { id, already_there: false }),
        PackageOutcome::AlreadyThere(id) => Ok(Published { id, already_there: true }),
        PackageOutcome::Differs => Err(PublishError::Differs),
    }
}

/// Gives the signer's name.
fn check_vendor(
    trust: &Trust,
    vendor: &Vendor,
    signature: &StoredSignature,
    signed: &[u8],
) -> Result<String, PublishError> {
    let whose = Whose::Vendor;
    let mut roots = TrustList::new();
    for der in &vendor.roots {
        let root = Certificate::from_der(der)
            .and_then(|root| root.must_be_for(trust.is_for_production()).map(|()| root))
            .map_err(|source| PublishError::Certificate { whose, source })?;
        roots.add(root, &[Role::PackageSigning]);
    }
    check(whose, signature, signed, |leaf, intermediates| {
        let (at, crls) = (now_seconds(), trust.crls());
        let policy = Policy { family: family(leaf), ..Policy::default() };
        policy.verify_chain(leaf, intermediates, &roots, Role::PackageSigning, at, &crls)
    })
}

fn check_approval(trust: &Trust, approval: &StoredSignature, signed: &[u8]) -> Result<String, PublishError> {
    check(Whose::Acquirer, approval, signed, |leaf, intermediates| {
        trust.verify(leaf, intermediates, Role::PackageSigning)
    })
}

fn check(
    whose: Whose,
    signature: &StoredSignature,
    signed: &[u8],
    verify: impl FnOnce(&Certificate, &[Certificate]) -> Result<pki::Verified, CertificateRefusal>,
) -> Result<String, PublishError> {
    let unreadable = |source| PublishError::Certificate { whose, source };
    let leaf = Certificate::from_der(&signature.certificate).map_err(unreadable)?;
    let intermediates = Certificate::all_from_der(&signature.intermediates).map_err(unreadable)?;
    verify(&leaf, &intermediates).map_err(|source| PublishError::Chain { whose, source })?;
    pki::verify_signature(leaf.spki_der(), family(&leaf).text_scheme(), signed, &signature.signature)
        .map_err(|_| PublishError::Signature { whose })?;
    Ok(leaf.subject().to_string())
}

/// Vendors have chains of either kind; a key of none is refused with its chain.
fn family(leaf: &Certificate) -> KeyFamily {
    KeyFamily::of(leaf.spki_der()).unwrap_or_default()
}

fn check_length(
    name: &str,
    signature: &StoredSignature,
    approval: Option<&StoredSignature>,
) -> Result<(), PublishError> {
    if entry_bytes(name, signature, approval) > MAX_PLAN_BYTES { Err(PublishError::TooLong) } else { Ok(()) }
}

async fn check_file(repository: &dyn Repository, manifest: &Manifest) -> Result<(), PublishError> {
    let unread = |source| PublishError::Read { path: manifest.path.clone(), source };
    let wanted = manifest.size;
    let found = repository.size(&manifest.path).await.map_err(unread)?;
    if found != wanted {
        return Err(PublishError::Size { found, wanted });
    }
    let (mut hash, mut offset) = (Sha256::new(), 0);
    while offset < wanted {
        let next = usize::try_from(wanted - offset).map_or(HASH_CHUNK, |left| left.min(HASH_CHUNK));
        let bytes = repository.read(&manifest.path, offset, next).await.map_err(unread)?;
        if bytes.is_empty() {
            return Err(PublishError::Size { found: offset, wanted });
        }
        hash.update(&bytes);
        offset = offset.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }
    if hash.finalize().as_slice() == manifest.sha256 { Ok(()) } else { Err(PublishError::Hash) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_that_no_plan_holds_are_too_long() {
        let of = |length| StoredSignature {
            certificate: vec![0; length],
            intermediates: vec![0; 1_000],
            signature: vec![0; 256],
        };
        assert!(check_length("app", &of(10_000), Some(&of(10_000))).is_ok());
        let refused = check_length("app", &of(30_000), Some(&of(30_000)));
        assert!(matches!(refused, Err(PublishError::TooLong)));
    }
}
