//! Partners: whom this server exchanges transport keys with, and the keys that were agreed with each.
//!
//! A partner of a KMS is a vendor with an MTMS, a partner of an MTMS is an acquirer that buys. PK and MAK are key blocks
//! that open in this HSM only, and each names its partner: the HSM refuses one partner's keys for another.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hsm::{
    Hsm, HsmError, KeyBlock,
    commands::{BatchText, MacBatch},
};
use pki::Certificate;
use serde::Deserialize;
use wire::Suite;

use crate::config::Config;

/// A partner and what was agreed with it in one suite.
#[derive(Debug, Clone)]
pub struct Partner {
    /// What orders call it.
    pub name: String,
    /// In which suite the two keys are: 01 TDES, 02 AES.
    pub suite: Suite,
    /// PK: what transport keys travel under.
    pub pk: KeyBlock,
    /// MAK: what batches and receipts are under.
    pub mak: KeyBlock,
    /// At a KMS: SHA-256 of the root above the cards that sign this partner's batches; without it any root's.
    pub root_sha256: Option<String>,
    /// At an MTMS: where the partner's KMS is.
    pub url: Option<String>,
    /// At an MTMS: the root of its TLS certificate, PEM.
    pub tls_root: Option<PathBuf>,
}

/// Why a partner's settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PartnerError {
    /// A file cannot be read.
    #[error(
        "partners: cannot read {path}: {source}; keys are written by `keyferry hsm component combine` or `keyferry hsm agree`"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds no key of this kind.
    #[error(
        "partners: {path} holds no key for {wanted} of partner {name:?}; make it with `keyferry hsm component --for`"
    )]
    Content {
        /// The file.
        path: PathBuf,
        /// The partner.
        name: String,
        /// Which key was looked for.
        wanted: &'static str,
    },
    /// The root of a vendor's cards is no certificate.
    #[error("partners: {path} is no certificate in PEM: {source}")]
    Root {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pki::Error,
    },
    /// PK and MAK are of different suites.
    #[error(
        "partners: PK and MAK of {name:?} are of different suites; agree both as TDES or both as AES keys"
    )]
    TwoSuites {
        /// The partner.
        name: String,
    },
    /// The same partner stands twice with keys of one suite.
    #[error("partners: {name:?} stands twice with keys of suite {suite}")]
    Twice {
        /// The partner.
        name: String,
        /// The suite.
        suite: Suite,
    },
    /// The HSM does not take the batch MAC key.
    #[error("partners: the HSM does not take the batch MAC key of {name:?}: {source}")]
    Key {
        /// The partner.
        name: String,
        /// What it says.
        source: HsmError,
    },
}

/// What `keyferry hsm component combine` and `keyferry hsm agree` write.
#[derive(Deserialize)]
struct Combined {
    #[serde(rename = "for")]
    kind: String,
    partner: Option<String>,
    block: String,
}

/// All partners of the configuration.
///
/// # Errors
/// [`PartnerError`], naming the file or the partner.
pub fn partners(config: &Config) -> Result<Vec<Partner>, PartnerError> {
    let mut found: Vec<Partner> = Vec::new();
    for settings in &config.partners {
        let read = |path: &PathBuf, wanted, kinds| read(&config.path(path), &settings.name, wanted, kinds);
        let (suite, pk) = read(&settings.pk, "pk", ["protect", "protect-aes"])?;
        let (mak_suite, mak) = read(&settings.mak, "mak", ["batch-mac", "batch-mac-aes"])?;
        let name = settings.name.clone();
        if suite != mak_suite {
            return Err(PartnerError::TwoSuites { name });
        }
        if found.iter().any(|partner| partner.name == name && partner.suite == suite) {
            return Err(PartnerError::Twice { name, suite });
        }
        let root_sha256 = settings.root.as_ref().map(|path| root(config.path(path))).transpose()?;
        let tls_root = settings.tls_root.as_ref().map(|path| config.path(path));
        found.push(Partner { name, suite, pk, mak, root_sha256, url: settings.url.clone(), tls_root });
    }
    Ok(found)
}

/// The root of a vendor's cards, by which it is known.
fn root(path: PathBuf) -> Result<String, PartnerError> {
    match fs::read_to_string(&path) {
        Ok(pem) => match Certificate::from_pem(&pem) {
            Ok(root) => Ok(root.sha256_hex()),
            Err(source) => Err(PartnerError::Root { path, source }),
        },
        Err(source) => Err(PartnerError::Read { path, source }),
    }
}

/// A key of one of these kinds, the first of suite 01, the second of suite 02.
fn read(
    path: &Path,
    name: &str,
    wanted: &'static str,
    kinds: [&str; 2],
) -> Result<(Suite, KeyBlock), PartnerError> {
    let text = fs::read_to_string(path).map_err(|source| PartnerError::Read { path: path.into(), source })?;
    let wrong = || PartnerError::Content { path: path.into(), name: name.to_owned(), wanted };
    let combined: Combined = serde_json::from_str(&text).map_err(|_| wrong())?;
    if combined.partner.as_deref() != Some(name) {
        return Err(wrong());
    }
    let suite = match kinds.iter().position(|kind| *kind == combined.kind) {
        Some(0) => Suite::TDES,
        Some(_) => Suite::EC_AES,
        None => return Err(wrong()),
    };
    Ok((suite, KeyBlock::from_text(combined.block)))
}

/// Has the HSM use each MAK once, as this end does: a key of another partner, purpose or HSM is found when the server
/// starts, and not by the first batch.
///
/// # Errors
/// [`PartnerError::Key`].
pub(crate) async fn check<H: Hsm>(
    hsm: &H,
    config: &Config,
    partners: &[Partner],
) -> Result<(), PartnerError> {
    let what = if config.mtms.is_some() { BatchText::Batch } else { BatchText::Receipt };
    for partner in partners {
        let command = MacBatch {
            mak: partner.mak.clone(),
            partner: partner.name.clone(),
            owner: config.acquirer.id.clone(),
            what,
            text: b"{}".to_vec(),
        };
        let name = &partner.name;
        hsm.call(command).await.map_err(|source| PartnerError::Key { name: name.clone(), source })?;
    }
    Ok(())
}
