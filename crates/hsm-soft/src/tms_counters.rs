//! The numbers of sealed messages in open sessions of suite 02: no nonce is used twice under one key.
//!
//! A session is named by TH(1, 2) of its run, which has both nonces and both ephemeral keys in it: two sessions of one
//! run would have the same keys, so a run opens one. The table is bounded: the oldest session is pushed out by one more,
//! and is over. So that its run is not opened again with the ticket that may still live, no ticket begins a session that
//! was given before the last session that was pushed out began: an honest terminal's is moments old.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hsm::{Refusal, commands::MAX_TMS_SESSIONS};
use paycrypto::ec::TranscriptHash;

use crate::process_seal::Kind;

/// All open sessions' next numbers.
pub(crate) struct TmsCounters {
    table: Mutex<Table>,
    most: usize,
}

struct Table {
    sessions: HashMap<TranscriptHash, Next>,
    /// In the order in which they began.
    order: VecDeque<(TranscriptHash, Instant)>,
    /// When the last one that was pushed out began.
    forgotten: Option<Instant>,
}

/// The next number of each direction.
#[derive(Default)]
struct Next {
    seal: u64,
    open: u64,
}

impl TmsCounters {
    pub(crate) fn new() -> Self {
        Self::holding(MAX_TMS_SESSIONS)
    }

    fn holding(most: usize) -> Self {
        let table = Table { sessions: HashMap::new(), order: VecDeque::new(), forgotten: None };
        Self { table: Mutex::new(table), most }
    }

    /// Begins the session of a run, once. `issued` is when its ticket was given.
    pub(crate) fn begin(&self, run: &TranscriptHash, issued: Instant) -> Result<(), Refusal> {
        self.begin_at(run, issued, Instant::now())
    }

    fn begin_at(&self, run: &TranscriptHash, issued: Instant, now: Instant) -> Result<(), Refusal> {
        let mut table = self.table();
        if table.sessions.contains_key(run) {
            return Err(Refusal::NotProven);
        }
        while table.oldest_is_older(now, Kind::TmsSessionEc.lasts()) || table.order.len() >= self.most {
            table.push_out();
        }
        if table.forgotten.is_some_and(|forgotten| issued <= forgotten) {
            return Err(Refusal::TicketExpired);
        }
        table.sessions.insert(*run, Next::default());
        table.order.push_back((*run, now));
        Ok(())
    }

    /// Takes a number for sealing: it must be the next one, and is used up.
    pub(crate) fn take(&self, run: &TranscriptHash, counter: u64) -> Result<(), Refusal> {
        let mut table = self.table();
        let next = table.sessions.get_mut(run).ok_or(Refusal::SessionOver)?;
        if counter != next.seal {
            let what = format!("message {counter}: the next one of this session is {}", next.seal);
            return Err(Refusal::Malformed { what });
        }
        next.seal = counter.checked_add(1).ok_or(Refusal::SessionOver)?;
        Ok(())
    }

    /// Whether a number is the one that must be opened next.
    pub(crate) fn comes_next(&self, run: &TranscriptHash, counter: u64) -> Result<(), Refusal> {
        let table = self.table();
        let next = table.sessions.get(run).ok_or(Refusal::SessionOver)?;
        if counter == next.open { Ok(()) } else { Err(Refusal::NotProven) }
    }

    /// Counts a message that opened. Of two that opened at once, one counts.
    pub(crate) fn opened(&self, run: &TranscriptHash, counter: u64) -> Result<(), Refusal> {
        let mut table = self.table();
        let next = table.sessions.get_mut(run).ok_or(Refusal::SessionOver)?;
        if counter != next.open {
            return Err(Refusal::NotProven);
        }
        next.open = counter.checked_add(1).ok_or(Refusal::SessionOver)?;
        Ok(())
    }

    /// A panic elsewhere while the lock was held leaves numbers that were used up: none comes twice.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn oldest_is_older(&self, now: Instant, than: Duration) -> bool {
        self.order.front().is_some_and(|(_, began)| now.saturating_duration_since(*began) > than)
    }

    fn push_out(&mut self) {
        if let Some((run, began)) = self.order.pop_front() {
            self.sessions.remove(&run);
            self.forgotten = Some(began);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const RUN: TranscriptHash = [1; 32];

    fn begun() -> TmsCounters {
        let counters = TmsCounters::new();
        counters.begin(&RUN, Instant::now()).unwrap();
        counters
    }

    #[test]
    fn no_number_is_sealed_twice_or_out_of_order() {
        let counters = begun();
        assert_eq!(counters.take(&RUN, 0), Ok(()));
        for counter in [0, 2, u64::MAX] {
            assert!(matches!(counters.take(&RUN, counter), Err(Refusal::Malformed { .. })), "{counter}");
        }
        assert_eq!(counters.take(&RUN, 1), Ok(()), "a refused number uses nothing up");
        assert_eq!(counters.take(&[2; 32], 0), Err(Refusal::SessionOver));
    }

    #[test]
    fn of_many_who_seal_one_number_at_once_one_does() {
        let counters = begun();
        for counter in 0..200 {
            let taken = thread::scope(|scope| {
                let all = [(); 8].map(|()| scope.spawn(|| counters.take(&RUN, counter).is_ok()));
                all.map(|one| one.join().unwrap()).into_iter().filter(|taken| *taken).count()
            });
            assert_eq!(taken, 1, "number {counter}");
        }
    }

    #[test]
    fn a_message_opens_once_and_in_its_place() {
        let counters = begun();
        assert_eq!(counters.comes_next(&RUN, 0), Ok(()));
        assert_eq!(counters.comes_next(&RUN, 0), Ok(()), "one that did not open is still the next");
        assert_eq!(counters.opened(&RUN, 0), Ok(()));
        assert_eq!(counters.opened(&RUN, 0), Err(Refusal::NotProven), "of two at once, one counts");
        for counter in [0, 2] {
            assert_eq!(counters.comes_next(&RUN, counter), Err(Refusal::NotProven), "{counter}");
        }
        assert_eq!(counters.comes_next(&[2; 32], 0), Err(Refusal::SessionOver));
    }

    #[test]
    fn a_run_opens_one_session() {
        let counters = begun();
        assert_eq!(counters.begin(&RUN, Instant::now()), Err(Refusal::NotProven));
        assert_eq!(counters.take(&RUN, 0), Ok(()));
        assert_eq!(
            counters.begin(&RUN, Instant::now()),
            Err(Refusal::NotProven),
            "whatever was sealed in it"
        );
    }

    #[test]
    fn the_oldest_session_is_pushed_out_and_its_run_never_opened_again() {
        let counters = TmsCounters::holding(2);
        let start = Instant::now();
        let second = |number| start + Duration::from_secs(number);
        counters.begin_at(&[1; 32], second(0), second(1)).unwrap();
        counters.begin_at(&[2; 32], second(0), second(2)).unwrap();
        counters.begin_at(&[3; 32], second(3), second(3)).unwrap();
        assert_eq!(counters.take(&[1; 32], 0), Err(Refusal::SessionOver));
        assert_eq!(counters.comes_next(&[1; 32], 0), Err(Refusal::SessionOver));
        assert_eq!((counters.take(&[2; 32], 0), counters.take(&[3; 32], 0)), (Ok(()), Ok(())));
        // The ticket of the first was given before it began.
        let again = counters.begin_at(&[1; 32], second(0), second(4));
        assert_eq!(again, Err(Refusal::TicketExpired));
        assert_eq!(counters.begin_at(&[4; 32], second(2), second(4)), Err(Refusal::TicketExpired));
        assert_eq!(counters.begin_at(&[4; 32], second(3), second(4)), Ok(()), "a ticket of moments ago");
    }

    #[test]
    fn sessions_of_yesterday_are_forgotten() {
        let counters = TmsCounters::holding(3);
        let start = Instant::now();
        counters.begin_at(&[1; 32], start, start).unwrap();
        counters.begin_at(&[2; 32], start, start).unwrap();
        let tomorrow = start + Kind::TmsSessionEc.lasts() + Duration::from_millis(1);
        counters.begin_at(&[3; 32], tomorrow, tomorrow).unwrap();
        let table = counters.table();
        assert_eq!((table.sessions.len(), table.order.len()), (1, 1));
    }
}
