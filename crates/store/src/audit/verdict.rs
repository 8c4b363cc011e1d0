//! Checking a chain, event by event, with memory for one event only.

use std::fmt;

use super::chain::{GENESIS, Hash, Link, hex};

/// An audit event as it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// 1, 2, 3, … without gaps.
    pub seq: i64,
    /// When, Unix milliseconds.
    pub at: i64,
    /// What happened.
    pub kind: String,
    /// Who did it.
    pub actor: String,
    /// To whom or what.
    pub subject: String,
    /// Canonical JSON.
    pub detail: String,
    /// The hash of the event before; 32 zero bytes for the first.
    pub prev_hash: [u8; 32],
    /// SHA-256 over the hash before and all of the above.
    pub hash: [u8; 32],
}

/// What a check of the whole chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditVerdict {
    /// Good events, from the first up to the break or to the end.
    pub events: u64,
    /// The last good event's hash, lower-case hex. Worth writing down elsewhere.
    pub head_hash_hex: String,
    /// Where and how the chain is broken; `None` if it is whole.
    pub broken_at: Option<AuditBreak>,
}

/// Where and how a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditBreak {
    /// The event at which it shows. What was changed is this one, or it stood here and is gone.
    pub seq: i64,
    /// How.
    pub why: AuditFault,
}

/// How a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditFault {
    /// This event is not there; the next one in the store has another number.
    Missing {
        /// The next one's number.
        found: i64,
    },
    /// This event does not follow the one before: one of the two was changed, or others stood between.
    NotLinked,
    /// This event's content is not what was hashed.
    Changed,
    /// Events from this one on have been cut off.
    Cut {
        /// The number of the last event ever written.
        last: i64,
    },
    /// Events from this one on were added past the recorded end.
    PastTheEnd,
    /// The recorded end is not this event as it stands.
    OtherEnd,
    /// The recorded end itself is missing or unreadable.
    NoEnd,
    /// The event is not of the form that events have.
    Unreadable(String),
}

impl fmt::Display for AuditFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuditFault::Missing { found } => write!(f, "the event is missing; {found} stands in its place"),
            AuditFault::NotLinked => f.write_str("the event does not carry the hash of the one before"),
            AuditFault::Changed => f.write_str("the event was changed after it was written"),
            AuditFault::Cut { last } => write!(f, "the events from here to {last} were cut off"),
            AuditFault::PastTheEnd => f.write_str("events were added past the recorded end"),
            AuditFault::OtherEnd => f.write_str("the recorded end names another hash than this last event's"),
            AuditFault::NoEnd => f.write_str("the record of the chain's end is missing or unreadable"),
            AuditFault::Unreadable(why) => write!(f, "the event cannot be read: {why}"),
        }
    }
}

impl fmt::Display for AuditBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken at event {}: {}", self.seq, self.why)
    }
}

impl fmt::Display for AuditVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.broken_at {
            None => write!(f, "{} events, unbroken, head {}", self.events, self.head_hash_hex),
            Some(broken) => write!(f, "{broken} ({} good events before it)", self.events),
        }
    }
}

/// Walks a chain: give it the events in order, then the recorded end.
pub(crate) struct Checker {
    seq: i64,
    hash: Hash,
}

impl Checker {
    pub(crate) fn new() -> Checker {
        Checker { seq: 0, hash: GENESIS }
    }

    /// The number that the next event must have.
    pub(crate) fn expected(&self) -> i64 {
        self.seq.saturating_add(1)
    }

    /// Checks the next event.
    pub(crate) fn event(&mut self, row: &AuditRow) -> Result<(), AuditBreak> {
        let expected = self.expected();
        let broken = |why| Err(AuditBreak { seq: expected, why });
        if row.seq != expected {
            return broken(AuditFault::Missing { found: row.seq });
        }
        if row.prev_hash != self.hash {
            return broken(AuditFault::NotLinked);
        }
        let link = Link {
            seq: row.seq,
            at: row.at,
            kind: &row.kind,
            actor: &row.actor,
            subject: &row.subject,
            detail: &row.detail,
            prev: &row.prev_hash,
        };
        if link.hash() != row.hash {
            return broken(AuditFault::Changed);
        }
        self.seq = row.seq;
        self.hash = row.hash;
        Ok(())
    }

    /// After the last event: `end` is the recorded number and hash of the last one, if there is a record.
    pub(crate) fn end(&self, end: Option<(i64, Hash)>) -> Option<AuditBreak> {
        let (seq, why) = match end {
            None => (self.expected(), AuditFault::NoEnd),
            Some((last, _)) if last > self.seq => (self.expected(), AuditFault::Cut { last }),
            Some((last, _)) if last < self.seq => (last.saturating_add(1), AuditFault::PastTheEnd),
            Some((_, hash)) if hash != self.hash => (self.seq, AuditFault::OtherEnd),
            Some(_) => return None,
        };
        Some(AuditBreak { seq, why })
    }

    pub(crate) fn verdict(self, broken_at: Option<AuditBreak>) -> AuditVerdict {
        AuditVerdict { events: self.seq.unsigned_abs(), head_hash_hex: hex(&self.hash), broken_at }
    }
}
