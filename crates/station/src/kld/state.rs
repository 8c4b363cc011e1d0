//! What a KLD keeps beside its HSM and its runs: one file of key blocks, certificates and names.
//!
//! Every key in it is under the HSM's LMK. Which suite a key is of, its check value's length says.

use std::path::Path;

use hsm::KeyBlock;
use serde::{Deserialize, Serialize};
use wire::{Kcv, Suite};

use super::{KldError, suite::of_kcv};
use crate::files;

/// Version of the file.
const VERSION: u32 = 2;
/// The version that knew suite 01 alone.
const TDES_ONLY: u32 = 1;
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
    /// Key pairs, at most one entry for each suite.
    #[serde(default)]
    pairs: Vec<Pairs>,
    /// Exchange keys, at most one for each suite: TDES carries no AES key.
    #[serde(default)]
    pub(super) exchange: Vec<Kept>,
    #[serde(default)]
    pub(super) dik1: Vec<Kept>,
    /// Keys for terminals that were not made here.
    #[serde(default)]
    pub(super) imported: Vec<Imported>,
}

/// The file as it was when there was suite 01 alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TdesOnly {
    #[serde(rename = "version")]
    _version: u32,
    name: String,
    owner: String,
    #[serde(default)]
    pair: Option<Pair>,
    #[serde(default)]
    next_pair: Option<Pair>,
    #[serde(default)]
    exchange: Option<Kept>,
    #[serde(default)]
    dik1: Vec<Kept>,
    #[serde(default)]
    imported: Vec<Imported>,
}

/// Which version a file has.
#[derive(Deserialize)]
struct Probe {
    version: u32,
}

/// The key pairs of one suite.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pairs {
    suite: u8,
    /// The pair that terminals are served with.
    #[serde(default)]
    pub(super) serving: Option<Pair>,
    /// A newer pair whose certificate has not come yet.
    #[serde(default)]
    pub(super) next: Option<Pair>,
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

impl Kept {
    /// Whether it is a key of this suite.
    pub(super) fn is_of(&self, suite: Suite) -> bool {
        is_of(&self.kcv, suite)
    }
}

impl Imported {
    /// Whether it is a key of this suite.
    pub(super) fn is_of(&self, suite: Suite) -> bool {
        is_of(&self.kcv, suite)
    }
}

fn is_of(kcv: &str, suite: Suite) -> bool {
    kcv.parse().is_ok_and(|kcv: Kcv| of_kcv(kcv) == suite)
}

impl State {
    pub(super) fn new(name: &str, owner: &str) -> State {
        State {
            version: VERSION,
            name: name.to_owned(),
            owner: owner.to_owned(),
            pairs: Vec::new(),
            exchange: Vec::new(),
            dik1: Vec::new(),
            imported: Vec::new(),
        }
    }

    /// The key pairs of this suite.
    pub(super) fn pairs(&self, suite: Suite) -> Pairs {
        let none = || Pairs { suite: suite.byte(), ..Pairs::default() };
        self.pairs.iter().find(|pairs| pairs.suite == suite.byte()).cloned().unwrap_or_else(none)
    }

    /// Keeps these in place of the pairs of their suite.
    pub(super) fn keep_pairs(&mut self, pairs: Pairs) {
        self.pairs.retain(|kept| kept.suite != pairs.suite);
        self.pairs.push(pairs);
    }

    pub(super) fn read(path: &Path) -> Result<State, KldError> {
        let damaged = |why: String| KldError::Damaged { path: path.to_owned(), why };
        let bytes = files::read(path, MAX_STATE)?;
        let failed = |error: serde_json::Error| damaged(error.to_string());
        let probe: Probe = serde_json::from_slice(&bytes).map_err(failed)?;
        match probe.version {
            VERSION => serde_json::from_slice(&bytes).map_err(failed),
            TDES_ONLY => serde_json::from_slice(&bytes).map_err(failed).map(TdesOnly::into),
            other => Err(damaged(format!("version {other} of the file is not known here"))),
        }
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), KldError> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|error| KldError::Damaged { path: path.to_owned(), why: error.to_string() })?;
        Ok(files::write_whole(path, &json)?)
    }
}

impl From<TdesOnly> for State {
    fn from(old: TdesOnly) -> State {
        let TdesOnly { name, owner, pair, next_pair, exchange, dik1, imported, .. } = old;
        let mut state = State::new(&name, &owner);
        state.keep_pairs(Pairs { suite: Suite::TDES.byte(), serving: pair, next: next_pair });
        State { exchange: exchange.into_iter().collect(), dik1, imported, ..state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_from_before_suite_02_is_read_as_suite_01() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kld.json");
        let old = r#"{"version":1,"name":"KLD-7","owner":"ACQ",
            "pair":{"private":"P1","request":"R1","certificates":"C1"},
            "next_pair":{"private":"P2","request":"R2"},
            "exchange":{"name":"X","block":"B0","kcv":"AABBCC"},
            "dik1":[{"name":"L","block":"B1","kcv":"112233"}],
            "imported":[{"pin_pad":"SN-1","slot":3,"block":"B2","kcv":"445566"}]}"#;
        std::fs::write(&path, old).unwrap();
        let state = State::read(&path).unwrap();
        let pairs = state.pairs(Suite::TDES);
        assert_eq!(pairs.serving.unwrap().request, "R1");
        assert_eq!(pairs.next.unwrap().request, "R2");
        assert!(state.exchange[0].is_of(Suite::TDES) && !state.exchange[0].is_of(Suite::EC_AES));
        assert!(state.dik1[0].is_of(Suite::TDES) && state.imported[0].is_of(Suite::TDES));
        assert!(state.pairs(Suite::EC_AES).serving.is_none());
        state.write(&path).unwrap();
        assert_eq!(State::read(&path).unwrap().pairs(Suite::TDES).serving.unwrap().request, "R1");
    }

    #[test]
    fn a_file_of_another_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kld.json");
        for text in [r#"{"version":3,"name":"K","owner":"A"}"#, "{}", r#"{"version":2,"name":"K","more":1}"#]
        {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(State::read(&path), Err(KldError::Damaged { .. })), "{text}");
        }
    }
}
