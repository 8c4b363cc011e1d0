//! `station.toml`: what the station's commands work with.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use pki::TrustList;
use serde::Deserialize;
use station::{
    BothCards, Card, CardSource, Ceremony, Checks, Journal, RevocationFile, Server, ServerSettings,
    ports::Links,
};

use super::{
    cards::Two,
    desk::{self, Cards, Trust},
    packages::Passphrase,
};

/// A station's configuration, with the folder that its relative paths start at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) name: String,
    cards: Cards,
    trust: Trust,
    kms: Kms,
    pub(super) collect: Collecting,
    #[serde(default)]
    pub(super) links: Links,
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kms {
    work_certificate: PathBuf,
    url: String,
    tls_root: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Collecting {
    journal: PathBuf,
    #[serde(default = "kept_ceremony")]
    ceremony: PathBuf,
    pub(super) parallel: usize,
}

impl Settings {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut settings: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        settings.folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Ok(settings)
    }

    /// The operator card in its reader, not yet opened.
    pub(super) fn operator_card(&self) -> Result<Box<dyn Card>> {
        self.cards.operator(&self.folder)
    }

    /// The administrator card in its reader, not yet opened.
    pub(super) fn administrator_card(&self) -> Result<Box<dyn Card>> {
        self.cards.administrator(&self.folder)
    }

    /// Both, not yet opened.
    pub(super) fn both_cards(&self) -> Result<Two> {
        self.cards.both(&self.folder)
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    pub(super) fn server(&self) -> Result<Server> {
        Ok(Server::new(&self.server_settings()?)?)
    }

    /// Where the server is.
    pub(super) fn server_settings(&self) -> Result<ServerSettings> {
        desk::server_settings(&self.folder, &self.kms.url, &self.kms.tls_root)
    }

    /// The roots, and the revocation lists: fresh from the server where it can be reached, else as last fetched.
    pub(super) fn checks(&self) -> Result<Checks> {
        self.trust.checks(&self.folder, Some(self.server()?))
    }

    /// The acquirer's root, and vendors' for device certificates.
    pub(super) fn roots(&self) -> Result<TrustList> {
        self.trust.roots(&self.folder)
    }

    /// The file of the revocation lists.
    pub(super) fn revocation_file(&self) -> Result<RevocationFile> {
        self.trust.revocation_file(&self.folder)
    }

    /// The KMS's work certificate and its chain, PEM.
    pub(super) fn work_certificate(&self) -> Result<String> {
        let path = self.work_certificate_file();
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Today's ceremony: the one kept, or else a new one, for which the server must be reached.
    pub(super) fn ceremony(&self, cards: &BothCards) -> Result<Ceremony> {
        Ceremony::of_today(&self.ceremony_file(), &self.server()?, cards, &self.name)
            .context("a new ceremony is needed: collect where the server can be reached, once a day")
    }

    /// Where the day's ceremony is kept.
    pub(super) fn ceremony_file(&self) -> PathBuf {
        self.path(&self.collect.ceremony)
    }

    /// Where the work certificate is.
    pub(super) fn work_certificate_file(&self) -> PathBuf {
        self.path(&self.kms.work_certificate)
    }

    /// Where the operator card and the administrator card are.
    pub(super) fn card_sources(&self) -> [CardSource; 2] {
        self.cards.sources(&self.folder)
    }

    /// The journal, opened with its passphrase.
    pub(super) fn journal(&self, passphrase: &Passphrase) -> Result<Journal> {
        Ok(Journal::open(&self.journal_folder(), &passphrase.read()?)?)
    }

    /// Where the journal is.
    pub(super) fn journal_folder(&self) -> PathBuf {
        self.path(&self.collect.journal)
    }

    /// The station's name for itself.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// Where the day's ceremony is kept when nothing else is said.
fn kept_ceremony() -> PathBuf {
    "station/ceremony.json".into()
}
