//! Which suite each key of a terminal is on, and leave to use a lower one (3-hardened.md).

use std::fmt;

use wire::{Serial, Slot, Suite};

use super::collection::Person;

/// A key whose suite is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyName {
    /// The collected transport key.
    Tk,
    /// The device identity key, level 2.
    Dik2,
    /// The device management key.
    Dmk,
    /// The TMK of a slot.
    Slot(Slot),
}

impl fmt::Display for KeyName {
    /// `tk`, `dik2`, `dmk` or `slot/NN`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tk => f.write_str("tk"),
            Self::Dik2 => f.write_str("dik2"),
            Self::Dmk => f.write_str("dmk"),
            Self::Slot(slot) => write!(f, "slot/{:02}", slot.index()),
        }
    }
}

/// One key's suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySuite {
    /// Which key.
    pub key: KeyName,
    /// The highest suite in which it was held; never goes down.
    pub proved: Suite,
    /// The suite of the key that is held now; lower than `proved` only by an allowance.
    pub in_use: Suite,
    /// When it last changed, Unix milliseconds.
    pub since: i64,
}

/// What is on record of a terminal's suites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteRecords {
    /// The terminal.
    pub sn: Serial,
    /// Key by key. A key that is not here was never held.
    pub keys: Vec<KeySuite>,
    /// Leave to use a lower suite, if it was given and not ended; it may have run out.
    pub allowance: Option<SuiteAllowance>,
}

impl SuiteRecords {
    /// The lowest suite in which `key` may be used at `now` (Unix milliseconds). A key that was never held may come in
    /// any suite.
    #[must_use]
    pub fn lowest(&self, key: KeyName, now: i64) -> Suite {
        let Some(record) = self.keys.iter().find(|record| record.key == key) else { return Suite::new(0) };
        match &self.allowance {
            Some(allowance) if allowance.until > now => record.proved.min(allowance.suite),
            _ => record.proved,
        }
    }

    /// Whether `key` may be used in `suite` at `now` (Unix milliseconds).
    #[must_use]
    pub fn permits(&self, key: KeyName, suite: Suite, now: i64) -> bool {
        suite >= self.lowest(key, now)
    }
}

/// Leave to use a lower suite, as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteAllowance {
    /// Unique in the store.
    pub id: i64,
    /// Down to which suite.
    pub suite: Suite,
    /// Why.
    pub reason: String,
    /// The operator who asked.
    pub asked_by: Person,
    /// The administrator who approved.
    pub approved_by: Person,
    /// Since when, Unix milliseconds.
    pub allowed_at: i64,
    /// Until when, Unix milliseconds.
    pub until: i64,
}

/// Leave that two people give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowSuite {
    /// SHA-256 that stands for what both signed: it gives leave once.
    pub digest: [u8; 32],
    /// The terminal.
    pub sn: Serial,
    /// Down to which suite.
    pub suite: Suite,
    /// Why; 1 to [`limits::REASON`](crate::limits::REASON) bytes.
    pub reason: String,
    /// The operator who asks.
    pub asked_by: Person,
    /// The administrator who approves; someone else.
    pub approved_by: Person,
    /// Until when, Unix milliseconds. A time that has passed ends an allowance that runs.
    pub until: i64,
}

/// What became of [`SuiteStore::allow_suite`](crate::SuiteStore::allow_suite).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowOutcome {
    /// It runs from now on, in place of one before.
    Allowed {
        /// [`SuiteAllowance::id`].
        id: i64,
    },
    /// What ran is ended.
    Ended,
    /// There was nothing to end. Nothing was written.
    NothingToEnd,
    /// The same request came before. Nothing was written.
    Duplicate,
    /// The two may be one person. Nothing was written.
    SamePerson,
}
