//! Tickets of suite 02: what the next step of a flow needs, sealed for this process ([`ProcessSeal`]).
//!
//! | kind | holds |
//! |---|---|
//! | hello of A or E, factor of C | `counts (1) ‖ schedule (65)`: all keys of the run come out of it |
//! | begun, C | `Z (32) ‖ both nonces (64) ‖ TH(1, 2) (32)`: DIK2 is not known yet |
//! | begun, B | `ephemeral key (32) ‖ nonce (32)` |
//! | released | `schedule (65) ‖ index (1) ‖ check value (5)` for each key |

use std::time::Instant;

use hsm::Refusal;
use paycrypto::ec::{KEPT_SCHEDULE, LoadedKey, Schedule};
use zeroize::Zeroizing;

use crate::{
    HsmSoftError,
    process_seal::{Kind, Party, ProcessSeal, SealDefect},
};

/// Bytes of a key in a released ticket: its index and its check value.
const LOADED: usize = 6;

pub(crate) struct EcTickets(ProcessSeal);

/// The keys of a run, and whether its peer can have them.
pub(crate) struct Run {
    pub(crate) schedule: Schedule,
    /// False for a stranger and the like: nothing that comes back counts.
    pub(crate) counts: bool,
}

/// A run whose keys were released.
pub(crate) struct Released {
    pub(crate) schedule: Schedule,
    /// In the order in which they were sent.
    pub(crate) keys: Vec<LoadedKey>,
}

impl EcTickets {
    pub(crate) fn new() -> Result<Self, HsmSoftError> {
        ProcessSeal::new().map(Self)
    }

    /// Seals bytes of a kind's own.
    pub(crate) fn seal(&self, party: Party<'_>, secret: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
        self.0.seal(party, secret)
    }

    /// Opens what [`EcTickets::seal`] gave this party, lately.
    pub(crate) fn open(&self, party: Party<'_>, ticket: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        self.0.open(party, ticket).map_err(refusal)
    }

    pub(crate) fn seal_run(&self, party: Party<'_>, run: &Run) -> Result<Vec<u8>, Refusal> {
        self.seal(party, &[&[u8::from(run.counts)], &*run.schedule.keep()])
    }

    pub(crate) fn open_run(&self, party: Party<'_>, ticket: &[u8]) -> Result<Run, Refusal> {
        self.open_run_issued(party, ticket).map(|(run, _)| run)
    }

    /// As [`EcTickets::open_run`]; tells when the ticket was given, too.
    pub(crate) fn open_run_issued(&self, party: Party<'_>, ticket: &[u8]) -> Result<(Run, Instant), Refusal> {
        let (clear, issued) = self.0.open_issued(party, ticket).map_err(refusal)?;
        let (counts, schedule) = clear.split_first().ok_or(Refusal::NotProven)?;
        let schedule = Schedule::from_kept(schedule).ok_or(Refusal::NotProven)?;
        Ok((Run { schedule, counts: *counts == 1 }, issued))
    }

    /// Seals what the receipts for `keys` are made and checked with.
    pub(crate) fn seal_released(
        &self,
        pin_pad: &str,
        owner: &str,
        schedule: &Schedule,
        keys: &[LoadedKey],
    ) -> Result<Vec<u8>, Refusal> {
        let keys: Vec<u8> = keys.iter().flat_map(|key| [&[key.index], key.kcv.as_slice()].concat()).collect();
        self.seal(released(pin_pad, owner), &[&*schedule.keep(), &keys])
    }

    pub(crate) fn open_released(
        &self,
        pin_pad: &str,
        owner: &str,
        ticket: &[u8],
    ) -> Result<Released, Refusal> {
        let clear = self.open(released(pin_pad, owner), ticket)?;
        let (schedule, keys) = clear.split_at_checked(KEPT_SCHEDULE).ok_or(Refusal::NotProven)?;
        let schedule = Schedule::from_kept(schedule).ok_or(Refusal::NotProven)?;
        let keys = keys.as_chunks::<LOADED>().0.iter();
        let keys = keys.map(|&[index, a, b, c, d, e]| LoadedKey { index, kcv: [a, b, c, d, e] }).collect();
        Ok(Released { schedule, keys })
    }
}

fn refusal(defect: SealDefect) -> Refusal {
    match defect {
        SealDefect::Foreign => Refusal::NotProven,
        SealDefect::Expired => Refusal::TicketExpired,
    }
}

fn released<'a>(pin_pad: &'a str, owner: &'a str) -> Party<'a> {
    Party { kind: Kind::Released, pin_pad, owner }
}

#[cfg(test)]
mod tests {
    use paycrypto::ec::{Nonces, SharedSecret, StaticSecret};

    use super::*;

    const PARTY: Party<'_> = Party { kind: Kind::DownloadHello, pin_pad: "SN-1", owner: "ACQ" };

    fn schedule() -> Schedule {
        let nonces = Nonces { opener: &[2; 32], answerer: &[3; 32] };
        Schedule::new(&StaticSecret::LocalLoad, &SharedSecret::from_bytes(&[1; 32]), &nonces, &[4; 32])
    }

    #[test]
    fn a_run_opens_for_its_kind_party_and_process_only_and_says_whether_it_counts() {
        let tickets = EcTickets::new().unwrap();
        for counts in [true, false] {
            let run = Run { schedule: schedule(), counts };
            let ticket = tickets.seal_run(PARTY, &run).unwrap();
            let opened = tickets.open_run(PARTY, &ticket).unwrap();
            assert_eq!((opened.schedule.keep(), opened.counts), (schedule().keep(), counts));
            for other in [
                Party { kind: Kind::TmsHello, ..PARTY },
                Party { kind: Kind::RksFactor, ..PARTY },
                Party { kind: Kind::Released, ..PARTY },
                Party { pin_pad: "SN-2", ..PARTY },
                Party { owner: "ACR", ..PARTY },
            ] {
                assert_eq!(tickets.open_run(other, &ticket).err(), Some(Refusal::NotProven));
            }
            let elsewhere = EcTickets::new().unwrap().open_run(PARTY, &ticket);
            assert_eq!(elsewhere.err(), Some(Refusal::NotProven), "another process");
        }
    }

    #[test]
    fn a_ticket_hides_its_schedule_and_whether_it_counts() {
        let tickets = EcTickets::new().unwrap();
        let seal = |counts| tickets.seal_run(PARTY, &Run { schedule: schedule(), counts }).unwrap();
        let (known, stranger) = (seal(true), seal(false));
        assert_eq!(known.len(), stranger.len());
        let kept = schedule().keep();
        assert!(!known.windows(8).any(|window| kept.windows(8).any(|part| part == window)));
    }

    #[test]
    fn released_keys_come_back_in_their_order() {
        let tickets = EcTickets::new().unwrap();
        let keys: Vec<_> = (0..64).map(|index| LoadedKey { index, kcv: [index; 5] }).collect();
        let ticket = tickets.seal_released("SN-1", "ACQ", &schedule(), &keys).unwrap();
        let opened = tickets.open_released("SN-1", "ACQ", &ticket).unwrap();
        assert_eq!(opened.keys, keys);
        assert_eq!(opened.schedule.keep(), schedule().keep());
        assert!(tickets.open_released("SN-2", "ACQ", &ticket).is_err());
    }
}
