//! Downloads that have said HELLO and not yet proved themselves.
//!
//! Several may be open for one serial; the first that verifies wins and the others end with 000B (2-wire.md section
//! 4, flow A). Anybody can say HELLO with anybody's serial, so the number that is open is bounded, and a flood of
//! them must not stop the true terminal: what goes past the bound puts out the *oldest*, and one that was put out
//! may still prove itself for a moment, since only the true terminal can.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use wire::{Serial, limits::MAX_OPEN_HELLOS_PER_SOURCE as MAX_PER_SOURCE};

/// HELLOs open for one serial from all sources.
pub(crate) const MAX_PER_SERIAL: usize = 64;
/// How long one that was put out by others that proved nothing may still prove itself: as long as an answer takes on
/// a slow line. It holds its connection no longer than a silent one does.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// All open HELLOs.
#[derive(Clone, Default)]
pub(crate) struct OpenHellos {
    serials: Arc<Mutex<HashMap<Serial, Entry>>>,
}

#[derive(Default)]
struct Entry {
    open: VecDeque<Open>,
    next_id: u64,
    /// How many have won since the first of those now open.
    wins: u64,
}

struct Open {
    id: u64,
    source: IpAddr,
    put_out: Arc<Notify>,
    superseded: bool,
}

/// One open HELLO; dropping it ends it.
pub(crate) struct OpenHello {
    all: OpenHellos,
    serial: Serial,
    id: u64,
    wins: u64,
    put_out: Arc<Notify>,
}

impl OpenHellos {
    /// Opens one, putting out the oldest where there are too many.
    pub(crate) fn enter(&self, serial: &Serial, source: IpAddr) -> OpenHello {
        let mut serials = self.lock();
        let entry = serials.entry(serial.clone()).or_default();
        entry.next_id += 1;
        let put_out = Arc::new(Notify::new());
        entry.open.push_back(Open {
            id: entry.next_id,
            source,
            put_out: Arc::clone(&put_out),
            superseded: false,
        });
        entry.put_out_oldest(|open| open.source == source, MAX_PER_SOURCE);
        entry.put_out_oldest(|_| true, MAX_PER_SERIAL);
        OpenHello { all: self.clone(), serial: serial.clone(), id: entry.next_id, wins: entry.wins, put_out }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Serial, Entry>> {
        // Nothing in the critical sections can leave the map half changed.
        self.serials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn put_out_oldest(&mut self, counts: impl Fn(&Open) -> bool, most: usize) {
        let open = self.open.iter().filter(|o| !o.superseded && counts(o)).count();
        for oldest in
            self.open.iter_mut().filter(|o| !o.superseded && counts(o)).take(open.saturating_sub(most))
        {
            oldest.superseded = true;
            oldest.put_out.notify_one();
        }
    }
}

impl OpenHello {
    /// The serial it was opened for.
    pub(crate) fn serial(&self) -> &Serial {
        &self.serial
    }

    /// The terminal has proved itself. False when another of its downloads did so since this one began.
    pub(crate) fn win(&self) -> bool {
        let mut serials = self.all.lock();
        let Some(entry) = serials.get_mut(&self.serial) else { return false };
        let wins = entry.wins == self.wins;
        if wins {
            entry.wins += 1;
            for other in entry.open.iter_mut().filter(|o| o.id != self.id) {
                other.superseded = true;
                other.put_out.notify_one();
            }
        }
        wins
    }

    /// Returns when this one can win no more: at once when another has proved itself, and after its grace when it was
    /// put out.
    pub(crate) async fn over(&self) {
        self.put_out.notified().await;
        let ended = async {
            while !self.is_lost() {
                self.put_out.notified().await;
            }
        };
        // Either way it is over.
        let _ = tokio::time::timeout(GRACE, ended).await;
    }

    fn is_lost(&self) -> bool {
        self.all.lock().get(&self.serial).is_none_or(|entry| entry.wins != self.wins)
    }
}

impl Drop for OpenHello {
    fn drop(&mut self) {
        let mut serials = self.all.lock();
        if let Some(entry) = serials.get_mut(&self.serial) {
            entry.open.retain(|open| open.id != self.id);
            if entry.open.is_empty() {
                serials.remove(&self.serial);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

    fn serial() -> Serial {
        Serial::parse("SN-1").unwrap()
    }

    fn is_out(all: &OpenHellos, hello: &OpenHello) -> bool {
        all.lock()[&hello.serial].open.iter().any(|o| o.id == hello.id && o.superseded)
    }

    #[test]
    fn the_first_that_proves_itself_wins_and_the_others_end() {
        let all = OpenHellos::default();
        let (first, second) = (all.enter(&serial(), HERE), all.enter(&serial(), THERE));
        assert!(second.win());
        assert!(is_out(&all, &first));
        assert!(!first.win());
        drop((first, second));
        assert!(all.lock().is_empty(), "nothing stays behind");
        assert!(all.enter(&serial(), HERE).win(), "a later download is a new race");
    }

    #[test]
    fn the_fifth_hello_of_a_source_puts_out_its_oldest_only() {
        let all = OpenHellos::default();
        let other = all.enter(&serial(), THERE);
        let mut open: Vec<_> = (0..MAX_PER_SOURCE).map(|_| all.enter(&serial(), HERE)).collect();
        assert!(open.iter().all(|o| !is_out(&all, o)));
        open.push(all.enter(&serial(), HERE));
        let out: Vec<_> = open.iter().map(|o| is_out(&all, o)).collect();
        assert_eq!(out, [true, false, false, false, false]);
        assert!(!is_out(&all, &other));
        assert!(open[0].win(), "one that was put out may still prove itself");
    }
}
