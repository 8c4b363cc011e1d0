//! How often lately somebody signed in as a terminal: each time costs an entry in the audit before anything is proved.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use flows::sign_in::Reason;
use wire::Serial;

/// Sign-ins of one serial from one address within [`WHILE`]; more are told to come later.
const MOST: u32 = 30;
const WHILE: Duration = Duration::from_secs(60);
/// Pairs of address and serial that are remembered; when there are more, all are forgotten.
const MAX_PAIRS: usize = 65_536;

/// The counts.
#[derive(Default)]
pub(super) struct Recent(Mutex<HashMap<(IpAddr, Serial), (Instant, u32)>>);

impl Recent {
    /// Counts one more.
    pub(super) fn enter(&self, source: IpAddr, sn: &Serial) -> Result<(), Reason> {
        self.enter_at(source, sn, Instant::now())
    }

    fn enter_at(&self, source: IpAddr, sn: &Serial, now: Instant) -> Result<(), Reason> {
        let mut pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pairs.len() >= MAX_PAIRS {
            pairs.clear();
        }
        let (since, count) = pairs.entry((source, sn.clone())).or_insert((now, 0));
        if now.saturating_duration_since(*since) >= WHILE {
            (*since, *count) = (now, 0);
        }
        if *count >= MOST {
            return Err(Reason::TooMany);
        }
        *count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn one_serial_from_one_address_signs_in_so_often_and_no_more() {
        let (recent, start) = (Recent::default(), Instant::now());
        let [here, there] = [1, 2].map(|n| IpAddr::V4(Ipv4Addr::new(127, 0, 0, n)));
        let [one, two] = ["SN-1", "SN-2"].map(|sn| Serial::parse(sn).unwrap());
        for _ in 0..MOST {
            recent.enter_at(here, &one, start).unwrap();
        }
        assert_eq!(recent.enter_at(here, &one, start + WHILE / 2), Err(Reason::TooMany));
        recent.enter_at(here, &two, start).unwrap();
        recent.enter_at(there, &one, start).unwrap();
        recent.enter_at(here, &one, start + WHILE).unwrap();
    }

    #[test]
    fn memory_is_bounded() {
        let (recent, start) = (Recent::default(), Instant::now());
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for n in 0..MAX_PAIRS + 1 {
            recent.enter_at(here, &Serial::parse(&n.to_string()).unwrap(), start).unwrap();
        }
        assert!(recent.0.lock().unwrap().len() <= MAX_PAIRS);
    }
}
