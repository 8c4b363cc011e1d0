//! Terminal ids that POSPs used lately, and the serials behind them: a batch names hundreds, and each would be a read.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use wire::Serial;

/// How long a name is believed without a look into the store: another server of the estate may have mapped it anew.
const BELIEVED: Duration = Duration::from_secs(5);
/// Names kept; when there are more, all are forgotten.
const MAX_NAMES: usize = 65_536;

/// The names.
#[derive(Default)]
pub(super) struct TerminalNames(Mutex<HashMap<String, (Serial, Instant)>>);

impl TerminalNames {
    /// The serial behind a terminal id, if it was looked up lately.
    pub(super) fn get(&self, terminal_id: &str, now: Instant) -> Option<Serial> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (sn, since) = names.get(terminal_id)?;
        (now.saturating_duration_since(*since) < BELIEVED).then(|| sn.clone())
    }

    /// Keeps what the store said.
    pub(super) fn put(&self, terminal_id: &str, sn: Serial, now: Instant) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= MAX_NAMES {
            names.clear();
        }
        names.insert(terminal_id.to_owned(), (sn, now));
    }

    /// Forgets all: names were mapped anew.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_believed_for_a_while_and_memory_is_bounded() {
        let (names, start) = (TerminalNames::default(), Instant::now());
        let sn = Serial::parse("SN-1").unwrap();
        names.put("T0000001", sn.clone(), start);
        assert_eq!(names.get("T0000001", start), Some(sn.clone()));
        assert_eq!(names.get("T0000001", start + BELIEVED), None);
        for n in 0..MAX_NAMES {
            names.put(&n.to_string(), sn.clone(), start);
        }
        assert!(names.0.lock().unwrap().len() <= MAX_NAMES);
        names.clear();
        assert_eq!(names.get("0", start), None);
    }
}
