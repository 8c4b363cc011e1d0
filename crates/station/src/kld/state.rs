//! What a KLD keeps beside its HSM and its runs: one file of key blocks, certificates and names.
//!
//! Every key in it is under the HSM's LMK.

use std::path::Path;

use hsm::KeyBlock;
use serde::{Deserialize, Serialize};

use super::KldError;
use crate::files;

/// Version of the file.
const VERSION: u32 = 1;
/// The longest file read, bytes: some hundred bytes for each imported key.
const MAX_STATE: u64 = 64 * 1024 * 1024;

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    version: u32,
    /// The KLD's name.
    pub(super) name: String,
    /// The acquirer that every key here belongs to.
    pub(super) owner: String,
    /// The pair that terminals are served with.
    #[serde(default)]
    pub(super) pair: Option<Pair>,
    /// A newer pair whose certificate has not come yet.
    #[serde(default)]
    pub(super) next_pair: Option<Pair>,
    #[serde(default)]
    pub(super) exchange: Option<Kept>,
    #[serde(default)]
    pub(super) dik1: Vec<Kept>,
    /// Keys for terminals that were not made here.
    #[serde(default)]
    pub(super) imported: Vec<Imported>,
}

/// A key pair.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pair {
    pub(super) private: KeyBlock,
    /// The request for its certificate, PEM.
    pub(super) request: String,
    /// Its certificate and those above it, PEM; empty until it is installed.
    #[serde(default)]
    pub(super) certificates: String,
}

/// A key with a name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// A DIK1's label, an exchange key's name.
    pub(super) name: String,
    pub(super) block: KeyBlock,
    pub(super) kcv: String,
}

/// A key for one place of one PIN pad.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Imported {
    pub(super) pin_pad: String,
    /// The slot of a TMK; none for a DMK.
    #[serde(default)]
    pub(super) slot: Option<u8>,
    pub(super) block: KeyBlock,
    pub(super) kcv: String,
}

impl State {
    pub(super) fn new(name: &str, owner: &str) -> State {
        State {
            version: VERSION,
            name: name.to_owned(),
            owner: owner.to_owned(),
            pair: None,
            next_pair: None,
            exchange: None,
            dik1: Vec::new(),
            imported: Vec::new(),
        }
    }

    pub(super) fn read(path: &Path) -> Result<State, KldError> {
        let damaged = |why: String| KldError::Damaged { path: path.to_owned(), why };
        let state: State =
            serde_json::from_slice(&files::read(path, MAX_STATE)?).map_err(|e| damaged(e.to_string()))?;
        if state.version != VERSION {
            return Err(damaged(format!("version {} of the file is not known here", state.version)));
        }
        Ok(state)
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), KldError> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|error| KldError::Damaged { path: path.to_owned(), why: error.to_string() })?;
        Ok(files::write_whole(path, &json)?)
    }
}
