//! What happened, as the audit keeps it.

use std::borrow::Cow;

use serde_json::Value;

/// One line of the audit: who did what to whom, and when (4-requirements.md R31).
///
/// It never holds key material, PINs or card numbers: the caller sees to that (R33).
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When, in Unix milliseconds.
    pub at: i64,
    /// What happened, as dotted words: `tmk.confirmed`. At most [`limits::EVENT_TEXT`](crate::limits::EVENT_TEXT)
    /// bytes, like the next two.
    pub kind: Cow<'static, str>,
    /// Who did it: a certificate's subject, a terminal's serial, `server`.
    pub actor: String,
    /// To whom or what: usually a serial, or a certificate's SHA-256.
    pub subject: String,
    /// Everything else. Kept as canonical JSON, at most [`limits::EVENT_DETAIL`](crate::limits::EVENT_DETAIL) bytes.
    pub detail: Value,
}

impl Event {
    /// An event with all its parts.
    pub fn new(
        at: i64,
        kind: impl Into<Cow<'static, str>>,
        actor: impl Into<String>,
        subject: impl Into<String>,
        detail: Value,
    ) -> Event {
        Event { at, kind: kind.into(), actor: actor.into(), subject: subject.into(), detail }
    }
}
