//! The KLD's configuration file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Deserialize;
use station::{Checks, RevocationFile, Server};

use crate::commands::{
    cards::Two,
    desk::{self, Cards, Trust},
};

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
        self.cards.both(&self.folder)
    }

    /// The KMS, where this KLD reaches one.
    pub(super) fn server(&self) -> Result<Option<Server>> {
        let Some(kms) = &self.kms else { return Ok(None) };
        Ok(Some(Server::new(&desk::server_settings(&self.folder, &kms.url, &kms.tls_root)?)?))
    }

    /// The roots, and the revocation lists: fresh from the server where it can be reached, else as kept last.
    pub(super) fn checks(&self) -> Result<Checks> {
        self.trust.checks(&self.folder, self.server()?)
    }

    /// Where the lists are kept.
    pub(super) fn revocation_file(&self) -> Result<RevocationFile> {
        self.trust.revocation_file(&self.folder)
    }
}
