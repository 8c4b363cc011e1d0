//! Tickets and sessions of flow E, sealed for this process ([`ProcessSeal`]).
//!
//! A ticket holds `counts (1) ‖ T_DATA (10) ‖ S_DATA (10) ‖ DWK (24)`, a session `DWK (24) ‖ session key (24)`, always
//! of this length.

use hsm::Refusal;
use paycrypto::{
    TdesKey,
    keys::{Dwk, SessionKey},
};

use crate::{
    HsmSoftError,
    process_seal::{Kind, Party, ProcessSeal, SealDefect},
};

/// Bytes of T_DATA and of S_DATA.
pub(crate) const DATA: usize = 10;

pub(crate) struct TmsTickets(ProcessSeal);

/// What a terminal was told, and what its proof is checked with.
pub(crate) struct Challenge {
    pub(crate) dwk: Dwk,
    pub(crate) t_data: [u8; DATA],
    pub(crate) s_data: [u8; DATA],
    /// False for a stranger: nothing that comes back counts.
    pub(crate) counts: bool,
}

/// An open session's keys.
pub(crate) struct Session {
    pub(crate) dwk: Dwk,
    pub(crate) key: SessionKey,
}

impl TmsTickets {
    pub(crate) fn new() -> Result<Self, HsmSoftError> {
        ProcessSeal::new().map(Self)
    }

    pub(crate) fn issue(
        &self,
        pin_pad: &str,
        owner: &str,
        challenge: &Challenge,
    ) -> Result<Vec<u8>, Refusal> {
        let Challenge { dwk, t_data, s_data, counts } = challenge;
        let party = Party { kind: Kind::TmsTicket, pin_pad, owner };
        self.0.seal(party, &[&[u8::from(*counts)], t_data, s_data, dwk.expose()])
    }

    /// The challenge of a ticket that this process gave this party, lately.
    pub(crate) fn challenge(&self, ticket: &[u8], pin_pad: &str, owner: &str) -> Result<Challenge, Refusal> {
        let party = Party { kind: Kind::TmsTicket, pin_pad, owner };
        let clear = self.0.open(party, ticket).map_err(refusal)?;
        let parse = || {
            let (counts, rest) = clear.split_first()?;
            let (t_data, rest) = rest.split_first_chunk::<DATA>()?;
            let (s_data, dwk) = rest.split_first_chunk::<DATA>()?;
            let dwk = TdesKey::from_bytes(dwk).and_then(Dwk::from_key).ok()?;
            Some(Challenge { dwk, t_data: *t_data, s_data: *s_data, counts: *counts == 1 })
        };
        parse().ok_or(Refusal::NotProven)
    }

    pub(crate) fn begin(&self, pin_pad: &str, owner: &str, session: &Session) -> Result<Vec<u8>, Refusal> {
        let party = Party { kind: Kind::TmsSession, pin_pad, owner };
        self.0.seal(party, &[session.dwk.expose(), session.key.expose()])
    }

    /// The session that this process began with this party, within a day.
    pub(crate) fn session(&self, session: &[u8], pin_pad: &str, owner: &str) -> Result<Session, Refusal> {
        let party = Party { kind: Kind::TmsSession, pin_pad, owner };
        let clear = self.0.open(party, session).map_err(refusal)?;
        let parse = || {
            let (dwk, key) = clear.split_at_checked(clear.len() / 2)?;
            let dwk = TdesKey::from_bytes(dwk).and_then(Dwk::from_key).ok()?;
            let key = TdesKey::from_bytes(key).and_then(SessionKey::from_key).ok()?;
            Some(Session { dwk, key })
        };
        parse().ok_or(Refusal::NotProven)
    }
}

fn refusal(defect: SealDefect) -> Refusal {
    match defect {
        SealDefect::Foreign => Refusal::NotProven,
        SealDefect::Expired => Refusal::TicketExpired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(counts: bool) -> Challenge {
        Challenge { dwk: Dwk::generate().unwrap(), t_data: [1; DATA], s_data: [0x82; DATA], counts }
    }

    #[test]
    fn tickets_and_sessions_give_back_what_they_hold_and_hide_it() {
        let tickets = TmsTickets::new().unwrap();
        let made = challenge(true);
        let ticket = tickets.issue("SN-1", "ACQ", &made).unwrap();
        let opened = tickets.challenge(&ticket, "SN-1", "ACQ").unwrap();
        assert_eq!((opened.t_data, opened.s_data, opened.counts), (made.t_data, made.s_data, true));
        assert!(opened.dwk.expose() == made.dwk.expose());
        let stranger = tickets.issue("SN-1", "ACQ", &challenge(false)).unwrap();
        assert_eq!(ticket.len(), stranger.len(), "alike in form");

        let session = Session { dwk: made.dwk, key: SessionKey::generate().unwrap() };
        let sealed = tickets.begin("SN-1", "ACQ", &session).unwrap();
        let opened = tickets.session(&sealed, "SN-1", "ACQ").unwrap();
        assert!(opened.dwk.expose() == session.dwk.expose() && opened.key.expose() == session.key.expose());
        for clear in [session.dwk.expose(), session.key.expose()] {
            assert!(!sealed.windows(8).chain(ticket.windows(8)).any(|w| clear.windows(8).any(|c| c == w)));
        }
    }

    #[test]
    fn a_ticket_is_no_session_and_none_is_another_partys() {
        let tickets = TmsTickets::new().unwrap();
        let ticket = tickets.issue("SN-1", "ACQ", &challenge(true)).unwrap();
        let session = Session { dwk: Dwk::generate().unwrap(), key: SessionKey::generate().unwrap() };
        let session = tickets.begin("SN-1", "ACQ", &session).unwrap();
        assert_eq!(tickets.session(&ticket, "SN-1", "ACQ").err(), Some(Refusal::NotProven));
        assert_eq!(tickets.challenge(&session, "SN-1", "ACQ").err(), Some(Refusal::NotProven));
        for (pad, owner) in [("SN-2", "ACQ"), ("SN-1", "ACR")] {
            assert_eq!(tickets.challenge(&ticket, pad, owner).err(), Some(Refusal::NotProven));
            assert_eq!(tickets.session(&session, pad, owner).err(), Some(Refusal::NotProven));
        }
    }
}
