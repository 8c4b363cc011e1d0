//! The remote key server (1-systems.md C): gives devices their keys under DIK2, and takes the reports of the KLDs that
//! put DIK2 into them.

mod load;
mod plan;
pub(crate) mod reports;

use std::{collections::BTreeMap, fs, path::PathBuf};

use hsm::KeyBlock;

use crate::{
    config::{self, Config},
    kms::open_hellos::OpenHellos,
};

pub(crate) use plan::Given;

/// What all downloads of devices share.
pub(crate) struct Rks {
    /// Nothing where the configuration has no `[rks]`: then devices are not served.
    settings: Option<config::Rks>,
    exchange_keys: BTreeMap<String, KeyBlock>,
    open: OpenHellos,
}

/// Why the settings of `[rks]` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RksError {
    /// A file cannot be read.
    #[error("rks.exchange_keys: cannot read {path}: {source}; `keyferry hsm component combine` writes it")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Rks {
    pub(crate) fn load(config: &Config) -> Result<Self, RksError> {
        let mut exchange_keys = BTreeMap::new();
        for (name, path) in config.rks.iter().flat_map(|rks| &rks.exchange_keys) {
            let path = config.path(path);
            let text = fs::read_to_string(&path).map_err(|source| RksError::Read { path, source })?;
            exchange_keys.insert(name.clone(), KeyBlock::from_text(text.trim().to_owned()));
        }
        Ok(Self { settings: config.rks.clone(), exchange_keys, open: OpenHellos::default() })
    }

    /// Whether devices are served here.
    pub(crate) fn serves(&self) -> bool {
        self.settings.is_some()
    }
}
