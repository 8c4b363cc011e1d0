//! What became of an import: counts for all, and a line for each terminal that did not move in.

use serde::Serialize;

/// Terminals named in a report; how many more there are is counted.
pub const LISTED: usize = 10_000;

/// What a run of an import found, line by line of its file. Running the same file again goes on where it stopped, and
/// counts what was there before as already known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Where the estate comes from.
    pub source: String,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// Whether the file was read to its end. If not, what is counted here is stored, and nothing behind it.
    pub complete: bool,
    /// Whether the file is not the one that the digest is of: somebody changed it meanwhile. Compare again.
    pub file_changed: bool,
    /// How many of each.
    #[serde(flatten)]
    pub counts: Counts,
    /// Those that did not move in, by line: at most [`LISTED`].
    pub refusals: Vec<Refused>,
    /// Refusals beyond [`LISTED`].
    pub refusals_not_listed: u64,
}

/// How many lines of a file, and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Lines read so far, empty ones included.
    pub lines: u64,
    /// Terminals that moved in, in this run.
    pub accepted: u64,
    /// Terminals that were there with the same keys, from an earlier run or otherwise.
    pub already_known: u64,
    /// Terminals that did not move in.
    pub refused: u64,
    /// Keys of accepted terminals whose check value was given and is right.
    pub keys_compared: u64,
    /// Keys of accepted terminals without a given check value: nothing shows that they are the right ones.
    pub keys_not_compared: u64,
}

/// A terminal that did not move in: nothing of it is stored by this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Its line, from 1.
    pub line: u64,
    /// Its serial, where the line could be read so far.
    pub sn: Option<String>,
    /// A word for programs; see [`Why::word`].
    pub reason: &'static str,
    /// The exact reason, and what to do, for people.
    pub why: String,
}

/// Why a terminal does not move in. Never holds a key block: whoever reads a report need not hold keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The line is no JSON object of the right form.
    #[error("the line is {what}, at column {column}; see the description of the file")]
    Form {
        /// What it is.
        what: &'static str,
        /// Where, from 1.
        column: usize,
    },
    /// The line is longer than a terminal with all its keys can be.
    #[error("the line has more than {max} bytes: is this a file of one terminal a line?")]
    LineTooLong {
        /// Most that it may have.
        max: usize,
    },
    /// A serial, name, slot or check value has not the form it must have.
    #[error("{field} is refused: {defect}")]
    Value {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        defect: String,
    },
    /// A slot is named twice.
    #[error("slot {slot:02} is named twice")]
    SlotTwice {
        /// The slot.
        slot: u8,
    },
    /// The file names the serial before; the first line counts, whatever became of it.
    #[error("line {first} names this serial already")]
    Duplicate {
        /// The line that did.
        first: u64,
    },
    /// The HSM does not take a key.
    #[error("{key}: {defect}")]
    Key {
        /// Which.
        key: String,
        /// What the HSM says.
        defect: String,
    },
    /// A key's check value is not the given one.
    #[error("{key}: the file says check value {given}, the key has {found}: ask where the file comes from")]
    CheckValue {
        /// Which.
        key: String,
        /// What the file says.
        given: String,
        /// What the HSM says.
        found: String,
    },
    /// The terminal is known, with other keys than the file's. They stay.
    #[error("it is known and holds another key: {keys}; nothing is changed")]
    KnownWithOtherKeys {
        /// Which differ.
        keys: String,
    },
    /// The terminal is known with another PIN pad. It stays.
    #[error("it is known with the PIN pad {pin_pad}; nothing is changed")]
    KnownWithOtherPinPad {
        /// The recorded one.
        pin_pad: String,
    },
    /// The terminal is known as another acquirer's. It stays.
    #[error("it is known as another acquirer's; nothing is changed")]
    KnownToAnother,
    /// Keys at its PIN pad's serial belong to another terminal.
    #[error("its PIN pad's serial belongs to another terminal")]
    PinPadTaken,
    /// Another terminal has its terminal id.
    #[error("another terminal has its terminal id")]
    TerminalIdTaken,
}

impl Why {
    /// A word for programs, which does not change.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Form { .. } => "form",
            Self::LineTooLong { .. } => "line-too-long",
            Self::Value { .. } => "value",
            Self::SlotTwice { .. } => "slot-twice",
            Self::Duplicate { .. } => "duplicate",
            Self::Key { .. } => "key-refused",
            Self::CheckValue { .. } => "check-value",
            Self::KnownWithOtherKeys { .. } => "known-with-other-keys",
            Self::KnownWithOtherPinPad { .. } => "known-with-other-pin-pad",
            Self::KnownToAnother => "known-to-another",
            Self::PinPadTaken => "pin-pad-taken",
            Self::TerminalIdTaken => "terminal-id-taken",
        }
    }
}

impl Report {
    pub(super) fn new(source: &str, sha256: String) -> Report {
        Report {
            source: source.to_owned(),
            sha256,
            complete: false,
            file_changed: false,
            counts: Counts::default(),
            refusals: Vec::new(),
            refusals_not_listed: 0,
        }
    }

    pub(super) fn refuse(&mut self, line: u64, sn: Option<String>, why: &Why) {
        self.counts.refused += 1;
        if self.refusals.len() < LISTED {
            self.refusals.push(Refused { line, sn, reason: why.word(), why: why.to_string() });
        } else {
            self.refusals_not_listed += 1;
        }
    }
}
