//! Who is believed: roots with their roles, and revocation lists that are read again when they change.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use pki::{Certificate, CertificateRefusal, CrlPolicy, CrlSet, KeyFamily, Policy, Role, TrustList, Verified};

use crate::{clock::now_seconds, config};

/// Roots and revocation lists.
pub(crate) struct Trust {
    roots: TrustList,
    production: bool,
    policy: Policy,
    lists: Mutex<Lists>,
}

/// What tells that a file was replaced: its time, its length, and which file it is.
type Stamp = (SystemTime, u64, u64);

struct Lists {
    files: Vec<(PathBuf, Option<Stamp>)>,
    crls: Arc<CrlSet>,
}

/// Why the trust settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {source}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pki::Error,
    },
    /// A role is not one.
    #[error("trust.roots: {0:?} is no role; roles are kms-work, operator, administrator, mtms, …")]
    Role(String),
}

/// What a server's settings believe, for a person's work beside it: roots, lists, and how strict it is.
#[derive(Debug, Clone)]
pub struct Believed {
    /// Roots with the roles that each may issue.
    pub roots: TrustList,
    /// The revocation lists as they are now.
    pub crls: CrlSet,
    /// What a missing list means.
    pub policy: Policy,
}

/// Reads what the settings believe, as the server does.
///
/// # Errors
/// [`TrustError`].
pub fn believed(config: &config::Config) -> Result<Believed, TrustError> {
    let trust = Trust::load(config)?;
    let crls = CrlSet::clone(&trust.crls());
    Ok(Believed { roots: trust.roots, crls, policy: trust.policy })
}

impl Trust {
    pub(crate) fn load(config: &config::Config) -> Result<Self, TrustError> {
        let mut roots = TrustList::new();
        let production = config.trust.production;
        for root in &config.trust.roots {
            let path = config.path(&root.certificate);
            let certificate = Certificate::from_pem(&read(&path)?)
                .and_then(of_good_key)
                .and_then(|root| root.must_be_for(production).map(|()| root))
                .map_err(|source| TrustError::Content { path, source })?;
            roots.add(certificate, &roles(&root.roles)?);
        }
        let missing_crl = if config.trust.crl_required { CrlPolicy::Required } else { CrlPolicy::Tolerated };
        let files: Vec<_> = config.trust.crls.iter().map(|path| (config.path(path), None)).collect();
        let mut lists = Lists { files, crls: Arc::default() };
        lists.refresh()?;
        let policy = Policy { missing_crl, ..Policy::default() };
        Ok(Self { roots, production, policy, lists: Mutex::new(lists) })
    }

    /// Whether roots for production are believed here, or those for trials.
    pub(crate) fn is_for_production(&self) -> bool {
        self.production
    }

    /// Checks a chain for a role, now. It is of one family from root to leaf: a card of either suite is as good as its
    /// root.
    pub(crate) fn verify(
        &self,
        leaf: &Certificate,
        intermediates: &[Certificate],
        role: Role,
    ) -> Result<Verified, CertificateRefusal> {
        let family = KeyFamily::of(leaf.spki_der())
            .map_err(|defect| CertificateRefusal::WeakKey { subject: leaf.subject().to_string(), defect })?;
        let policy = Policy { family, ..self.policy };
        policy.verify_chain(leaf, intermediates, &self.roots, role, now_seconds(), &self.crls())
    }

    /// The revocation lists as they are now.
    pub(crate) fn crls(&self) -> Arc<CrlSet> {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = lists.refresh() {
            // The lists that were good before stay in force.
            tracing::error!(%error, "a revocation list cannot be read; the earlier one stays in force");
        }
        Arc::clone(&lists.crls)
    }
}

impl Lists {
    fn refresh(&mut self) -> Result<(), TrustError> {
        let changed = |path: &Path| {
            let meta = fs::metadata(path).ok()?;
            Some((meta.modified().ok()?, meta.len(), meta.ino()))
        };
        if self.files.iter().all(|(path, seen)| seen.is_some() && changed(path) == *seen) {
            return Ok(());
        }
        let mut crls = CrlSet::new();
        let mut times = Vec::new();
        for (path, _) in &self.files {
            times.push(changed(path));
            let bytes = fs::read(path).map_err(|source| TrustError::Read { path: path.clone(), source })?;
            match std::str::from_utf8(&bytes) {
                Ok(pem) if pem.contains("-----BEGIN") => crls.add_pem(pem),
                _ => crls.add_der(&bytes),
            }
            .map_err(|source| TrustError::Content { path: path.clone(), source })?;
        }
        // A file put back to an earlier list takes nothing back (R21): the higher number stays.
        for known in self.crls.iter() {
            let overtaken = crls.iter().any(|c| c.issuer() == known.issuer() && c.number() >= known.number());
            if !overtaken {
                crls.add(known.clone());
            }
        }
        self.files.iter_mut().zip(times).for_each(|((_, seen), time)| *seen = time);
        self.crls = Arc::new(crls);
        Ok(())
    }
}

/// A root whose key is too small would be refused at each chain that ends at it: better when it is configured.
fn of_good_key(root: Certificate) -> Result<Certificate, pki::Error> {
    let checked = KeyFamily::of(root.spki_der());
    checked.map_err(|defect| pki::Error::Key { what: "the root's key", defect })?;
    Ok(root)
}

fn roles(words: &[String]) -> Result<Vec<Role>, TrustError> {
    words
        .iter()
        .map(|word| {
            Role::ALL
                .into_iter()
                .find(|role| role.word() == word)
                .ok_or_else(|| TrustError::Role(word.clone()))
        })
        .collect()
}

fn read(path: &Path) -> Result<String, TrustError> {
    fs::read_to_string(path).map_err(|source| TrustError::Read { path: path.into(), source })
}
