//! The KLD's configuration file.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use pki::{Certificate, CrlSet, Role, TrustList};
use serde::Deserialize;
use station::{Checks, RevocationFile, Server, ServerSettings};

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
    operator: PathBuf,
    administrator: PathBuf,
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

    pub(super) fn operator_card(&self) -> PathBuf {
        self.folder.join(&self.cards.operator)
    }

    pub(super) fn administrator_card(&self) -> PathBuf {
        self.folder.join(&self.cards.administrator)
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
        Ok(Checks::new(trust, self.revocation_lists()?))
    }

    /// Where the lists are kept.
    pub(super) fn revocation_file(&self) -> RevocationFile {
        let age = Duration::from_secs(u64::from(self.trust.crl_max_age_hours) * 3600);
        RevocationFile::new(&self.folder.join(&self.trust.crl), age)
    }

    fn revocation_lists(&self) -> Result<CrlSet> {
        let file = self.revocation_file();
        let Some(server) = self.server()? else { return Ok(file.load()?) };
        match file.fetch(&server) {
            Ok(lists) => Ok(lists),
            Err(station::Error::ServerUnreachable { .. }) => {
                complain!("the server cannot be reached; using the revocation list kept last");
                Ok(file.load()?)
            }
            Err(error) => Err(error.into()),
        }
    }
}
