//! Refusals of peers that proved nothing: counted, and written to the audit once a minute per source, serial and
//! reason, not once a packet (2-wire.md section 8), so that a flood fills neither disk nor audit.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::json;
use store::Event;

use crate::clock::now_ms;

/// Different (source, serial, reason) triples kept apart in one minute; what comes past it is counted together.
const MAX_TRIPLES: usize = 4096;

/// The counts of the present minute.
#[derive(Clone, Default)]
pub(crate) struct Strangers {
    counts: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    triples: HashMap<(IpAddr, String, &'static str), u64>,
    others: u64,
}

impl Strangers {
    /// Counts one refusal.
    pub(crate) fn count(&self, source: IpAddr, serial: &str, reason: &'static str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (source, serial.to_owned(), reason);
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
        let event = |actor: String, subject: String, detail| {
            Event::new(at, "terminal.refused", actor, subject, detail)
        };
        let mut events: Vec<_> = counts
            .triples
            .into_iter()
            .map(|((source, serial, reason), count)| {
                event(source.to_string(), serial, json!({ "reason": reason, "count": count }))
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
        let strangers = Strangers::default();
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
        let strangers = Strangers::default();
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
