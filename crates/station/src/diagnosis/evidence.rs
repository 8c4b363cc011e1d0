//! What one system holds of a terminal's TK: nothing of it is secret.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use wire::{Kcv, Serial};

use crate::text::printable;

/// Longest evidence read, in bytes.
pub const MAX_EVIDENCE: usize = 256 * 1024;
/// Lines of [`Evidence::said`] that are shown at most.
const MAX_SAID: usize = 64;

const VERSION: u32 = 1;

/// A system through which a TK goes, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hop {
    /// The terminal, whose PIN pad made it.
    Terminal,
    /// The operator station that collected it.
    Station,
    /// The vendor's MTMS.
    Mtms,
    /// The acquirer's KMS.
    Kms,
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Hop::Terminal => "terminal",
            Hop::Station => "station",
            Hop::Mtms => "MTMS",
            Hop::Kms => "KMS",
        })
    }
}

/// Whether a system has a TK of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// It has one.
    Held,
    /// It knows the terminal, and has none, or none that passes its checks.
    None,
    /// It does not know the terminal.
    UnknownTerminal,
}

/// What one system holds of a terminal's TK. Written as JSON, carried as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The form's version.
    pub version: u32,
    /// Whose word it is.
    pub hop: Hop,
    /// The terminal.
    pub sn: String,
    /// Whether it has a TK.
    pub key: KeyState,
    /// 1 or 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<u8>,
    /// The fingerprint of the ciphertext that it collected, carried or got: 20 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Check value of TEK, hex: 3 bytes in suite 01, 5 in suite 02.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tek: Option<String>,
    /// Check value of AUK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auk: Option<String>,
    /// How many TKs of this terminal this system has had: its own count, which is no other's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tk_generation: Option<i64>,
    /// Fingerprints of TKs that it had before, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<String>,
    /// What it has not handed on yet, where it knows.
    #[serde(default, skip_serializing_if = "is_false")]
    pub waiting: bool,
    /// What else it says, for people: states, refusals, batches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
}

fn is_false(waiting: &bool) -> bool {
    !waiting
}

/// Why evidence cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// None was given.
    #[error("there is no evidence: name at least two of terminal, station, MTMS and KMS")]
    Nothing,
    /// It is of two terminals.
    #[error("the {hop}'s evidence is of terminal {found}, not of {wanted}")]
    OtherTerminal {
        /// Whose.
        hop: Hop,
        /// Of which terminal it is.
        found: String,
        /// Of which it should be.
        wanted: String,
    },
    /// A system's word is there twice.
    #[error("there is evidence of the {0} twice: give the newer one alone")]
    HopTwice(Hop),
    /// A file is not evidence.
    #[error("this is no evidence: {0}")]
    Malformed(String),
}

impl Evidence {
    /// Evidence of a system that knows the terminal.
    #[must_use]
    pub fn of(hop: Hop, sn: &Serial, key: KeyState) -> Evidence {
        Evidence {
            version: VERSION,
            hop,
            sn: sn.to_string(),
            key,
            suite: None,
            fingerprint: None,
            tek: None,
            auk: None,
            tk_generation: None,
            earlier: Vec::new(),
            waiting: false,
            said: Vec::new(),
        }
    }

    /// Reads what [`Evidence::to_json`] wrote. Texts from outside are made fit to be shown.
    ///
    /// # Errors
    /// [`EvidenceError::Malformed`].
    pub fn read(bytes: &[u8]) -> Result<Evidence, EvidenceError> {
        let malformed = |why: &str| Err(EvidenceError::Malformed(printable(why)));
        if bytes.len() > MAX_EVIDENCE {
            return malformed("it is too long");
        }
        let mut evidence: Evidence =
            serde_json::from_slice(bytes).map_err(|e| EvidenceError::Malformed(printable(&e.to_string())))?;
        if evidence.version != VERSION {
            return malformed("its version is not known; this program knows version 1");
        }
        if Serial::parse(&evidence.sn).is_err() {
            return malformed("sn is no serial");
        }
        for value in [&evidence.tek, &evidence.auk].into_iter().flatten() {
            if Kcv::from_str(value).is_err() {
                return malformed("a check value has 6 or 10 hex digits");
            }
        }
        if evidence.tek.is_some() != evidence.auk.is_some() {
            return malformed("there is a check value of one half of the TK alone");
        }
        let fingerprints = evidence.fingerprint.iter().chain(&evidence.earlier);
        let is_fingerprint = |text: &String| text.len() == 20 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !fingerprints.clone().all(is_fingerprint) {
            return malformed("a fingerprint has 20 hex digits");
        }
        evidence.said.truncate(MAX_SAID);
        evidence.said.iter_mut().for_each(|line| *line = printable(line));
        Ok(evidence)
    }

    /// As a file has it.
    ///
    /// # Errors
    /// [`EvidenceError::Malformed`], which does not happen.
    pub fn to_json(&self) -> Result<String, EvidenceError> {
        serde_json::to_string_pretty(self).map_err(|e| EvidenceError::Malformed(e.to_string()))
    }

    /// Both check values, in one form.
    pub(super) fn check_values(&self) -> Option<(String, String)> {
        let both = self.tek.as_ref().zip(self.auk.as_ref());
        both.filter(|_| self.key == KeyState::Held)
            .map(|(tek, auk)| (tek.to_ascii_uppercase(), auk.to_ascii_uppercase()))
    }

    /// The fingerprint, in one form.
    pub(super) fn fingerprint(&self) -> Option<String> {
        self.fingerprint.as_ref().map(|text| text.to_ascii_uppercase())
    }

    /// Whether it once had the TK with this fingerprint.
    pub(super) fn had(&self, fingerprint: &str) -> bool {
        self.earlier.iter().any(|earlier| earlier.eq_ignore_ascii_case(fingerprint))
    }
}

/// The evidence along the way of the TK, checked to be of one terminal and of each system once.
pub(super) fn path(evidence: &[Evidence]) -> Result<Vec<&Evidence>, EvidenceError> {
    let mut path: Vec<_> = evidence.iter().collect();
    path.sort_by_key(|one| one.hop);
    let Some(first) = path.first() else { return Err(EvidenceError::Nothing) };
    for one in &path {
        if one.sn != first.sn {
            let (found, wanted) = (one.sn.clone(), first.sn.clone());
            return Err(EvidenceError::OtherTerminal { hop: one.hop, found, wanted });
        }
    }
    for pair in path.windows(2) {
        if let [one, other] = pair
            && one.hop == other.hop
        {
            return Err(EvidenceError::HopTwice(one.hop));
        }
    }
    Ok(path)
}
