//! Open sessions of flow E in suite 02: their keys sealed for this process, their numbers kept.
//!
//! A session holds `schedule (65) ‖ SHA-256 of TMS_HELLO to TMS_PROOF (32)`.

use std::time::Instant;

use hsm::Refusal;
use paycrypto::ec::{KEPT_SCHEDULE, Schedule};
use zeroize::Zeroizing;

use crate::{
    HsmSoftError,
    process_seal::{Kind, Party, ProcessSeal, SealDefect},
    tms_counters::TmsCounters,
};

pub(crate) struct TmsSessionsEc {
    seal: ProcessSeal,
    counters: TmsCounters,
}

/// An open session.
pub(crate) struct Session {
    pub(crate) schedule: Schedule,
    /// SHA-256 of its first three frames.
    pub(crate) proven: [u8; 32],
}

impl TmsSessionsEc {
    pub(crate) fn new() -> Result<Self, HsmSoftError> {
        Ok(Self { seal: ProcessSeal::new()?, counters: TmsCounters::new() })
    }

    /// Begins the session of a run, once. `issued` is when the run's ticket was given.
    pub(crate) fn begin(
        &self,
        pin_pad: &str,
        owner: &str,
        session: &Session,
        issued: Instant,
    ) -> Result<Vec<u8>, Refusal> {
        self.counters.begin(session.schedule.th12(), issued)?;
        self.seal.seal(party(pin_pad, owner), &[&*session.schedule.keep(), &session.proven])
    }

    /// The session that this process began with this party, within a day.
    pub(crate) fn open(&self, session: &[u8], pin_pad: &str, owner: &str) -> Result<Session, Refusal> {
        let clear = self.seal.open(party(pin_pad, owner), session).map_err(|defect| match defect {
            SealDefect::Foreign => Refusal::NotProven,
            SealDefect::Expired => Refusal::TicketExpired,
        })?;
        let parse = || {
            let (schedule, proven) = clear.split_at_checked(KEPT_SCHEDULE)?;
            let schedule = Schedule::from_kept(schedule)?;
            Some(Session { schedule, proven: proven.try_into().ok()? })
        };
        parse().ok_or(Refusal::NotProven)
    }

    /// Seals the message of this number, which must be the session's next one: it is used up before the nonce is.
    pub(crate) fn seal(&self, session: &Session, counter: u64, payload: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.counters.take(session.schedule.th12(), counter)?;
        let not_made = |e: paycrypto::Error| Refusal::NotMade { why: e.to_string() };
        let mut sealer = session.schedule.frame_server().sealing(counter).map_err(not_made)?;
        sealer.seal(payload).map_err(not_made)
    }

    /// Opens the message of this number, which must be the next one that comes.
    pub(crate) fn unseal(
        &self,
        session: &Session,
        counter: u64,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let run = session.schedule.th12();
        self.counters.comes_next(run, counter)?;
        let opener = session.schedule.frame_terminal().opening(counter);
        let mut opener = opener.map_err(|e| Refusal::NotMade { why: e.to_string() })?;
        let inner = opener.open(sealed).map_err(|_| Refusal::NotProven)?;
        self.counters.opened(run, counter)?;
        Ok(inner)
    }
}

fn party<'a>(pin_pad: &'a str, owner: &'a str) -> Party<'a> {
    Party { kind: Kind::TmsSessionEc, pin_pad, owner }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use paycrypto::ec::{Nonces, SharedSecret, StaticSecret, keys::Dmk};

    use super::*;

    fn session(run: u8) -> Session {
        let nonces = Nonces { opener: &[run; 32], answerer: &[3; 32] };
        let (z, dmk) = (SharedSecret::from_bytes(&[1; 32]), Dmk::from_bytes(&[2; 32]));
        let schedule = Schedule::new(&StaticSecret::TmsSession(&dmk), &z, &nonces, &[run; 32]);
        Session { schedule, proven: [run; 32] }
    }

    #[test]
    fn a_session_opens_for_its_party_and_process_only_and_hides_its_keys() {
        let sessions = TmsSessionsEc::new().unwrap();
        let sealed = sessions.begin("SN-1", "ACQ", &session(1), Instant::now()).unwrap();
        let opened = sessions.open(&sealed, "SN-1", "ACQ").unwrap();
        assert_eq!((opened.schedule.keep(), opened.proven), (session(1).schedule.keep(), [1; 32]));
        let kept = session(1).schedule.keep();
        assert!(!sealed.windows(8).any(|window| kept.windows(8).any(|part| part == window)));
        for (pad, owner) in [("SN-2", "ACQ"), ("SN-1", "ACR")] {
            assert_eq!(sessions.open(&sealed, pad, owner).err(), Some(Refusal::NotProven));
        }
        let elsewhere = TmsSessionsEc::new().unwrap();
        assert_eq!(elsewhere.open(&sealed, "SN-1", "ACQ").err(), Some(Refusal::NotProven));
    }

    /// Two messages under one nonce would show the difference of their texts, and then the key of the tags
    /// (SP 800-38D appendix A): so, whatever is asked and by how many at once, none is ever made.
    #[test]
    fn no_nonce_is_used_twice_under_one_key() {
        let sessions = TmsSessionsEc::new().unwrap();
        sessions.begin("SN-1", "ACQ", &session(1), Instant::now()).unwrap();
        assert_eq!(
            sessions.begin("SN-1", "ACQ", &session(1), Instant::now()).err(),
            Some(Refusal::NotProven)
        );
        assert_eq!(
            sessions.begin("SN-2", "ACQ", &session(1), Instant::now()).err(),
            Some(Refusal::NotProven),
            "the same run"
        );
        let (sessions, made) = (&sessions, std::sync::Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for caller in 0..4_u8 {
                let made = &made;
                scope.spawn(move || {
                    for counter in (0..60).flat_map(|number| [number, number]) {
                        if let Ok(sealed) = sessions.seal(&session(1), counter, &[caller; 16]) {
                            made.lock().unwrap().push((counter, sealed));
                        }
                    }
                });
            }
        });
        let made = made.into_inner().unwrap();
        let numbers: HashSet<_> = made.iter().map(|(counter, _)| counter).collect();
        assert_eq!(numbers.len(), made.len(), "a number was sealed twice");
        assert!(numbers.contains(&0));
        for (counter, sealed) in &made {
            let mut opener = session(1).schedule.frame_server().opening(*counter).unwrap();
            assert!(opener.open(sealed).is_ok(), "sealed with the nonce of its number");
        }
    }

    #[test]
    fn a_message_opens_once_and_a_bad_one_uses_no_number_up() {
        let sessions = TmsSessionsEc::new().unwrap();
        sessions.begin("SN-1", "ACQ", &session(1), Instant::now()).unwrap();
        let mut terminal = session(1).schedule.frame_terminal().sealing(0).unwrap();
        let (first, second) = (terminal.seal(b"one").unwrap(), terminal.seal(b"two").unwrap());
        let open = |counter, sealed: &[u8]| sessions.unseal(&session(1), counter, sealed);
        assert_eq!(open(0, &second).err(), Some(Refusal::NotProven));
        assert_eq!(open(1, &second).err(), Some(Refusal::NotProven), "not before the first");
        assert_eq!(open(0, &first).unwrap().as_slice(), b"one");
        assert_eq!(open(0, &first).err(), Some(Refusal::NotProven), "a second time");
        assert_eq!(open(1, &second).unwrap().as_slice(), b"two");
        let own = sessions.seal(&session(1), 0, b"plan").unwrap();
        assert_eq!(open(2, &own).err(), Some(Refusal::NotProven), "the other direction");
        assert_eq!(sessions.unseal(&session(2), 0, &first).err(), Some(Refusal::SessionOver), "never begun");
    }
}
