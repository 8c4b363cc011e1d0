//! What `station.toml` and `kld.toml` have in common: the two people's cards, whom certificates are believed of, where the
//! server is. Relative paths start at the folder of the file.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use pki::{Certificate, Role, TrustList};
use serde::Deserialize;
use station::{Card, CardSource, Checks, FreshLists, RevocationFile, Server, ServerSettings};

use super::cards::Two;

/// `[cards]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cards {
    operator: CardSource,
    administrator: CardSource,
}

/// `[trust]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trust {
    root: PathBuf,
    #[serde(default)]
    device_roots: Vec<PathBuf>,
    crl: PathBuf,
    crl_max_age_hours: u32,
}

impl Cards {
    /// Where the operator card and the administrator card are.
    pub(crate) fn sources(&self, folder: &Path) -> [CardSource; 2] {
        [&self.operator, &self.administrator].map(|card| card.within(folder))
    }

    /// Both in their readers, not yet opened.
    pub(crate) fn both(&self, folder: &Path) -> Result<Two> {
        let [operator, administrator] = self.sources(folder);
        Two::insert(&operator, &administrator)
    }

    /// The operator card in its reader, not yet opened.
    pub(crate) fn operator(&self, folder: &Path) -> Result<Box<dyn Card>> {
        Ok(self.operator.within(folder).insert()?)
    }

    /// The administrator card in its reader, not yet opened.
    pub(crate) fn administrator(&self, folder: &Path) -> Result<Box<dyn Card>> {
        Ok(self.administrator.within(folder).insert()?)
    }
}

impl Trust {
    /// The acquirer's root, and vendors' for device certificates.
    pub(crate) fn roots(&self, folder: &Path) -> Result<TrustList> {
        let mut trust = TrustList::new();
        let root = read_certificate(&folder.join(&self.root))?;
        let production = !root.is_for_trials();
        trust.add(root, &Role::ALL);
        for path in &self.device_roots {
            let path = folder.join(path);
            let root = read_certificate(&path)?;
            // Production and trials do not mix here either; the acquirer's root says which it is.
            root.must_be_for(production).with_context(|| path.display().to_string())?;
            trust.add(root, &[Role::Device]);
        }
        Ok(trust)
    }

    /// The file of the revocation lists; its folder is made.
    pub(crate) fn revocation_file(&self, folder: &Path) -> Result<RevocationFile> {
        let path = folder.join(&self.crl);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let age = Duration::from_secs(u64::from(self.crl_max_age_hours) * 3600);
        Ok(RevocationFile::new(&path, age))
    }

    /// The roots, and the revocation lists: fresh from the server where there is one and it can be reached, else as kept
    /// last.
    pub(crate) fn checks(&self, folder: &Path, server: Option<Server>) -> Result<Checks> {
        let connected = server.is_some();
        let lists = FreshLists::start(self.revocation_file(folder)?, server, FreshLists::REFETCH)?;
        if connected && !lists.were_fetched_now() {
            complain!("the server cannot be reached; using the revocation list fetched last");
        }
        Ok(Checks::kept_fresh(self.roots(folder)?, lists))
    }
}

/// Where a server is, and the root under which alone it is believed.
pub(crate) fn server_settings(folder: &Path, url: &str, tls_root: &Path) -> Result<ServerSettings> {
    let path = folder.join(tls_root);
    let root = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(ServerSettings::new(url, root))
}

fn read_certificate(path: &Path) -> Result<Certificate> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Certificate::from_pem(&text).with_context(|| path.display().to_string())
}
