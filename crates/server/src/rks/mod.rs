//! The remote key server (1-systems.md C): gives devices their keys under DIK2, and takes the reports of the KLDs that
//! put DIK2 into them.

mod ec_aes;
mod end;
mod load;
mod party;
mod plan;
pub(crate) mod report;
pub(crate) mod reports;
mod suite;
mod tdes;

use std::{collections::BTreeMap, fs, path::PathBuf};

use hsm::KeyBlock;
use serde::Deserialize;

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
    /// The file holds no exchange key.
    #[error("rks.exchange_keys: {path} holds no exchange key as `keyferry hsm component combine` writes one")]
    Content {
        /// The file.
        path: PathBuf,
    },
}

/// What an exchange key of suite 01, and one of suite 02, is called there.
const EXCHANGE: [&str; 2] = ["exchange", "exchange-aes"];

/// What `keyferry hsm component combine` writes.
#[derive(Deserialize)]
struct Combined {
    #[serde(rename = "for")]
    kind: String,
    block: String,
}

/// The exchange key of this name, as `[rks]` says: its block opens in the HSM only.
///
/// # Errors
/// [`RksError`]. Nothing where the configuration names no such key.
pub fn exchange_key(config: &Config, name: &str) -> Result<Option<KeyBlock>, RksError> {
    let Some(path) = config.rks.as_ref().and_then(|rks| rks.exchange_keys.get(name)) else { return Ok(None) };
    let path = config.path(path);
    let text = fs::read_to_string(&path).map_err(|source| RksError::Read { path: path.clone(), source })?;
    if !text.trim_start().starts_with('{') {
        return Ok(Some(KeyBlock::from_text(text.trim().to_owned())));
    }
    match serde_json::from_str::<Combined>(&text) {
        Ok(combined) if EXCHANGE.contains(&combined.kind.as_str()) => {
            Ok(Some(KeyBlock::from_text(combined.block)))
        }
        _ => Err(RksError::Content { path }),
    }
}

impl Rks {
    pub(crate) fn load(config: &Config) -> Result<Self, RksError> {
        let mut exchange_keys = BTreeMap::new();
        for name in config.rks.iter().flat_map(|rks| rks.exchange_keys.keys()) {
            if let Some(block) = exchange_key(config, name)? {
                exchange_keys.insert(name.clone(), block);
            }
        }
        Ok(Self { settings: config.rks.clone(), exchange_keys, open: OpenHellos::default() })
    }

    /// Whether devices are served here.
    pub(crate) fn serves(&self) -> bool {
        self.settings.is_some()
    }
}
