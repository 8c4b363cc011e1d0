//! Windows in which a terminal may ask to be collected (2-wire.md section 3, COLLECT_ASK).

use wire::Serial;

use super::collection::{ImportOutcome, Person};

/// Windows that two people open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWindows {
    /// SHA-256 of the request's CMS bytes: one request opens its windows once.
    pub request_digest: [u8; 32],
    /// For which serials.
    pub serials: Vec<Serial>,
    /// The operator who asked.
    pub asked_by: Person,
    /// The administrator who opens them; someone else.
    pub opened_by: Person,
    /// When they close, Unix milliseconds.
    pub expires_at: i64,
}

/// What became of [`DeviceStore::open_windows`](crate::DeviceStore::open_windows).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WindowsOutcome {
    /// Open now; their ids in the order of the serials.
    Opened(Vec<i64>),
    /// This request opened its windows before. Nothing was written.
    Duplicate,
    /// The two may be one person. Nothing was written.
    SamePerson,
}

/// A window as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRecord {
    /// For [`DeviceStore::collect_in_window`](crate::DeviceStore::collect_in_window).
    pub id: i64,
    /// The terminal.
    pub sn: Serial,
    /// The operator who asked.
    pub asked_by: Person,
    /// The administrator who opened it.
    pub opened_by: Person,
    /// When it closes, Unix milliseconds.
    pub expires_at: i64,
    /// The fingerprint of what was collected in it, once it was used.
    pub used_for: Option<String>,
}

/// What became of [`DeviceStore::collect_in_window`](crate::DeviceStore::collect_in_window).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WindowOutcome {
    /// The collection is stored, or waits for approval, and the window is used up.
    Collected(ImportOutcome),
    /// Not taken, for the reason inside; the window stays open and the reason is in the audit.
    NotTaken(ImportOutcome),
    /// The window is closed, used, or for another serial. Nothing was written.
    Closed,
}
