//! Why terminals refused to make or release a key, as they told it (2-wire.md section 2, FF23).

use wire::Serial;

/// A refusal that a terminal reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRefusal {
    /// Which check (DF28).
    pub check: String,
    /// What it read (DF29).
    pub reading: String,
    /// When, Unix milliseconds; nothing from a terminal that did not know the time (DF2A).
    pub occurred_at: Option<i64>,
}

/// A refusal as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalEntry {
    /// Its number, in the order of arrival.
    pub id: i64,
    /// The terminal.
    pub sn: Serial,
    /// What it told.
    pub refusal: NewRefusal,
    /// When it was told, Unix milliseconds.
    pub received_at: i64,
    /// The message that brought it: `TK_HELLO`, `RKS_AUTH`, `COLLECTED`, `ERROR`.
    pub source: String,
}
