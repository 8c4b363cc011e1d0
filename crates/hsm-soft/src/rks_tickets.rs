//! Tickets of flow C: AT and TK1, sealed for this process ([`ProcessSeal`]).
//!
//! The secret is `counts (1) ‖ AT (24) ‖ TK1 (24)`, always of this length.

use hsm::Refusal;
use paycrypto::rks::AtTk1;

use crate::{
    HsmSoftError,
    process_seal::{Kind, Party, ProcessSeal, SealDefect},
};

pub(crate) struct RksTickets(ProcessSeal);

/// What was sealed for a device.
pub(crate) struct Token {
    pub(crate) at_tk1: AtTk1,
    /// False for a stranger and the like: nothing that comes back counts.
    pub(crate) counts: bool,
}

impl Token {
    pub(crate) fn new(counts: bool) -> Result<Self, Refusal> {
        let at_tk1 = AtTk1::generate().map_err(|e| Refusal::NotMade { why: e.to_string() })?;
        Ok(Self { at_tk1, counts })
    }
}

impl RksTickets {
    pub(crate) fn new() -> Result<Self, HsmSoftError> {
        ProcessSeal::new().map(Self)
    }

    pub(crate) fn issue(&self, pin_pad: &str, owner: &str, token: &Token) -> Result<Vec<u8>, Refusal> {
        self.0.seal(party(pin_pad, owner), &[&[u8::from(token.counts)], &token.at_tk1.to_clear()])
    }

    /// The token of a ticket that this process gave this party, lately.
    pub(crate) fn open(&self, ticket: &[u8], pin_pad: &str, owner: &str) -> Result<Token, Refusal> {
        let foreign = || Refusal::DeviceNotProven {
            why: "the ticket is not one of this device and this process".into(),
        };
        let clear = self.0.open(party(pin_pad, owner), ticket).map_err(|defect| match defect {
            SealDefect::Foreign => foreign(),
            SealDefect::Expired => Refusal::TicketExpired,
        })?;
        let (counts, rest) = clear.split_first().ok_or_else(foreign)?;
        let at_tk1 = AtTk1::from_clear(rest).ok_or_else(foreign)?;
        Ok(Token { at_tk1, counts: *counts == 1 })
    }
}

fn party<'a>(pin_pad: &'a str, owner: &'a str) -> Party<'a> {
    Party { kind: Kind::RksTicket, pin_pad, owner }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_for_its_party_and_process_only() {
        let tickets = RksTickets::new().unwrap();
        let token = Token::new(true).unwrap();
        let ticket = tickets.issue("SN-1", "ACQ", &token).unwrap();
        let opened = tickets.open(&ticket, "SN-1", "ACQ").unwrap();
        assert!(opened.at_tk1.to_clear() == token.at_tk1.to_clear() && opened.counts);
        for (pad, owner) in [("SN-2", "ACQ"), ("SN-1", "ACR"), ("SN-1ACQ", "")] {
            assert!(tickets.open(&ticket, pad, owner).is_err(), "{pad} {owner}");
        }
        assert!(RksTickets::new().unwrap().open(&ticket, "SN-1", "ACQ").is_err(), "another process");
    }

    #[test]
    fn a_ticket_hides_its_token_and_whether_it_counts() {
        let tickets = RksTickets::new().unwrap();
        let (token, other) = (Token::new(true).unwrap(), Token::new(false).unwrap());
        let ticket = tickets.issue("SN-1", "ACQ", &token).unwrap();
        let clear = token.at_tk1.to_clear();
        assert!(!ticket.windows(8).any(|w| clear.windows(8).any(|c| c == w)), "AT and TK1 are not in clear");
        assert_eq!(ticket.len(), tickets.issue("SN-1", "ACQ", &other).unwrap().len());
    }
}
