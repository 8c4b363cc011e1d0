//! Refusals of peers that proved nothing: counted, and written to the audit once a minute per source, serial and
//! reason, not once a packet (2-wire.md section 8), so that a flood fills neither disk nor audit.

use std::{
    borrow::Cow,
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::json;
use store::Event;

use crate::clock::now_ms;

/// Different (source, subject, reason) triples kept apart in one minute; what comes past it is counted together.
const MAX_TRIPLES: usize = 4096;

/// The counts of the present minute.
#[derive(Clone)]
pub(crate) struct Strangers {
    kind: &'static str,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    triples: HashMap<(IpAddr, String, Cow<'static, str>), u64>,
    others: u64,
}

impl Strangers {
    /// None counted so far; `kind` is that of their events.
    pub(crate) fn new(kind: &'static str) -> Self {
        Self { kind, counts: Arc::default() }
    }

    /// Counts one refusal about `subject`: a serial, or what was uploaded.
    pub(crate) fn count(&self, source: IpAddr, subject: &str, reason: impl Into<Cow<'static, str>>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (source, subject.to_owned(), reason.into());
        if counts.triples.len() >= MAX_TRIPLES && !counts.triples.contains_key(&key) {
            counts.others += 1;
        } else {
            *counts.triples.entry(key).or_default() += 1;
        }
    }

    /// Takes what was counted, as audit events.
    pub(crate) fn take(&self) -> Vec<Event> {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        let at = now_ms();
        let event =
            |actor: String, subject: String, detail| Event::new(at, self.kind, actor, subject, detail);
        let mut events: Vec<_> = counts
            .triples
            .into_iter()
            .map(|((source, subject, reason), count)| {
                event(source.to_string(), subject, json!({ "reason": reason, "count": count }))
            })
            .collect();
        if counts.others > 0 {
            events.push(event(
                "many".into(),
                "many".into(),
                json!({ "reason": "various", "count": counts.others }),
            ));
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_flood_is_one_event_for_each_source_serial_and_reason() {
        let strangers = Strangers::new("terminal.refused");
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for _ in 0..1000 {
            strangers.count(here, "SN-1", "not proven");
        }
        strangers.count(here, "SN-1", "malformed");
        let mut counts: Vec<_> =
            strangers.take().iter().map(|e| e.detail["count"].as_u64().unwrap()).collect();
        counts.sort_unstable();
        assert_eq!(counts, [1, 1000]);
        assert!(strangers.take().is_empty());
    }

    #[test]
    fn memory_is_bounded_and_nothing_goes_uncounted() {
        let strangers = Strangers::new("terminal.refused");
        for n in 0..MAX_TRIPLES + 10 {
            strangers.count(IpAddr::V4(Ipv4Addr::LOCALHOST), &n.to_string(), "not proven");
        }
        let events = strangers.take();
        assert_eq!(events.len(), MAX_TRIPLES + 1);
        assert_eq!(
            events.iter().map(|e| e.detail["count"].as_u64().unwrap()).sum::<u64>(),
            MAX_TRIPLES as u64 + 10
        );
    }
}
