//! `station.toml`: what the station's commands work with.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use pki::{Certificate, Role, TrustList};
use serde::Deserialize;
use station::{
    BothCards, Card, CardSource, Ceremony, Checks, FreshLists, Journal, RevocationFile, Server,
    ServerSettings, ports::Links,
};

use super::{cards::Two, packages::Passphrase};

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
struct Cards {
    operator: CardSource,
    administrator: CardSource,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trust {
    root: PathBuf,
    #[serde(default)]
    device_roots: Vec<PathBuf>,
    crl: PathBuf,
    crl_max_age_hours: u32,
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
        Ok(self.cards.operator.within(&self.folder).insert()?)
    }

    /// The administrator card in its reader, not yet opened.
    pub(super) fn administrator_card(&self) -> Result<Box<dyn Card>> {
        Ok(self.cards.administrator.within(&self.folder).insert()?)
    }

    /// Both, not yet opened.
    pub(super) fn both_cards(&self) -> Result<Two> {
        let Cards { operator, administrator } = &self.cards;
        Two::insert(&operator.within(&self.folder), &administrator.within(&self.folder))
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    pub(super) fn server(&self) -> Result<Server> {
        Ok(Server::new(&self.server_settings()?)?)
    }

    /// Where the server is.
    pub(super) fn server_settings(&self) -> Result<ServerSettings> {
        let path = self.path(&self.kms.tls_root);
        let root = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(ServerSettings::new(&self.kms.url, root))
    }

    /// The roots, and the revocation lists: fresh from the server where it can be reached, else as last fetched.
    pub(super) fn checks(&self) -> Result<Checks> {
        Ok(Checks::kept_fresh(self.roots()?, self.revocation_lists()?))
    }

    /// The acquirer's root, and vendors' for device certificates.
    pub(super) fn roots(&self) -> Result<TrustList> {
        let mut trust = TrustList::new();
        let root = read_certificate(&self.path(&self.trust.root))?;
        let production = !root.is_for_trials();
        trust.add(root, &Role::ALL);
        for path in &self.trust.device_roots {
            let path = self.path(path);
            let root = read_certificate(&path)?;
            // Production and trials do not mix at a station either; the acquirer's root says which it is.
            root.must_be_for(production).with_context(|| path.display().to_string())?;
            trust.add(root, &[Role::Device]);
        }
        Ok(trust)
    }

    /// The file of the revocation lists.
    pub(super) fn revocation_file(&self) -> Result<RevocationFile> {
        let path = self.path(&self.trust.crl);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let age = Duration::from_secs(u64::from(self.trust.crl_max_age_hours) * 3600);
        Ok(RevocationFile::new(&path, age))
    }

    fn revocation_lists(&self) -> Result<Arc<FreshLists>> {
        let lists = FreshLists::start(self.revocation_file()?, Some(self.server()?), FreshLists::REFETCH)?;
        if !lists.were_fetched_now() {
            complain!("the server cannot be reached; using the revocation list fetched last");
        }
        Ok(lists)
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
        [&self.cards.operator, &self.cards.administrator].map(|card| card.within(&self.folder))
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

fn read_certificate(path: &Path) -> Result<Certificate> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Certificate::from_pem(&text).with_context(|| path.display().to_string())
}
