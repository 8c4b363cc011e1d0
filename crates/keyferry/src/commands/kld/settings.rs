//! The KLD's configuration file.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use pki::{Certificate, Role, TrustList};
use serde::Deserialize;
use station::{CardSource, Checks, FreshLists, RevocationFile, Server, ServerSettings};

use crate::commands::cards::Two;

/// Its name in the KLD's folder.
pub(super) const FILE: &str = "kld.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    cards: Cards,
    trust: Trust,
    #[serde(default)]
    kms: Option<Kms>,
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cards {
    operator: CardSource,
    administrator: CardSource,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trust {
    root: PathBuf,
    crl: PathBuf,
    crl_max_age_hours: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kms {
    url: String,
    tls_root: PathBuf,
}

impl Settings {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}; is this a KLD's folder?", path.display()))?;
        let mut settings: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        settings.folder = folder.to_owned();
        Ok(settings)
    }

    /// Both cards in their readers, not yet opened.
    pub(super) fn both_cards(&self) -> Result<Two> {
        let Cards { operator, administrator } = &self.cards;
        Two::insert(&operator.within(&self.folder), &administrator.within(&self.folder))
    }

    /// The KMS, where this KLD reaches one.
    pub(super) fn server(&self) -> Result<Option<Server>> {
        let Some(kms) = &self.kms else { return Ok(None) };
        let path = self.folder.join(&kms.tls_root);
        let root = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Some(Server::new(&ServerSettings::new(&kms.url, root))?))
    }

    /// The root, and the revocation lists: fresh from the server where it can be reached, else as kept last.
    pub(super) fn checks(&self) -> Result<Checks> {
        let path = self.folder.join(&self.trust.root);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let root = Certificate::from_pem(&text).with_context(|| path.display().to_string())?;
        let mut trust = TrustList::new();
        trust.add(root, &Role::ALL);
        Ok(Checks::kept_fresh(trust, self.revocation_lists()?))
    }

    /// Where the lists are kept.
    pub(super) fn revocation_file(&self) -> RevocationFile {
        let age = Duration::from_secs(u64::from(self.trust.crl_max_age_hours) * 3600);
        RevocationFile::new(&self.folder.join(&self.trust.crl), age)
    }

    fn revocation_lists(&self) -> Result<Arc<FreshLists>> {
        let server = self.server()?;
        let connected = server.is_some();
        let lists = FreshLists::start(self.revocation_file(), server, FreshLists::REFETCH)?;
        if connected && !lists.were_fetched_now() {
            complain!("the server cannot be reached; using the revocation list kept last");
        }
        Ok(lists)
    }
}
