//! Tickets of flow C: AT and TK1, sealed for this process, so that the HSM need not remember them.
//!
//! The plaintext is `issued (8, milliseconds since the start) ‖ counts (1) ‖ AT (24) ‖ TK1 (24)`, always of this
//! length; the seal binds the PIN pad and the owner. The key lives as long as the process: with it gone, no ticket
//! opens, and AT and TK1 are gone too.

use std::time::Instant;

use hsm::Refusal;
use paycrypto::{
    AesKey,
    gcm::GcmKey,
    rks::{AtTk1, TOKEN},
};
use zeroize::Zeroizing;

use crate::HsmSoftError;

/// A token not answered in this time is void: the wire's longest message, and a little.
const LIFETIME_MS: u64 = 330_000;

pub(crate) struct RksTickets {
    key: GcmKey,
    start: Instant,
}

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
        let key = AesKey::generate32().map_err(|e| HsmSoftError::Random(e.to_string()))?;
        let key = GcmKey::new(&key).map_err(|_| HsmSoftError::Internal("AES key"))?;
        Ok(Self { key, start: Instant::now() })
    }

    pub(crate) fn issue(&self, pin_pad: &str, owner: &str, token: &Token) -> Result<Vec<u8>, Refusal> {
        let mut clear = Zeroizing::new(Vec::with_capacity(8 + 1 + TOKEN));
        clear.extend_from_slice(&self.now().to_be_bytes());
        clear.push(u8::from(token.counts));
        clear.extend_from_slice(&token.at_tk1.to_clear());
        self.key.seal(&party(pin_pad, owner), &clear).map_err(|e| Refusal::NotMade { why: e.to_string() })
    }

    /// The token of a ticket that this process gave this party, lately.
    pub(crate) fn open(&self, ticket: &[u8], pin_pad: &str, owner: &str) -> Result<Token, Refusal> {
        let foreign = || Refusal::DeviceNotProven {
            why: "the ticket is not one of this device and this process".into(),
        };
        let clear = self.key.open(&party(pin_pad, owner), ticket).map_err(|_| foreign())?;
        let (issued, rest) = clear.split_first_chunk::<8>().ok_or_else(foreign)?;
        let (counts, rest) = rest.split_first().ok_or_else(foreign)?;
        let at_tk1 = AtTk1::from_clear(rest).ok_or_else(foreign)?;
        if self.now().saturating_sub(u64::from_be_bytes(*issued)) > LIFETIME_MS {
            return Err(Refusal::TicketExpired);
        }
        Ok(Token { at_tk1, counts: *counts == 1 })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn party(pin_pad: &str, owner: &str) -> Vec<u8> {
    let mut party = b"KF ticket C".to_vec();
    for part in [pin_pad, owner] {
        party.extend((part.len() as u64).to_be_bytes());
        party.extend_from_slice(part.as_bytes());
    }
    party
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

    #[test]
    fn a_changed_or_cut_ticket_is_refused() {
        let tickets = RksTickets::new().unwrap();
        let ticket = tickets.issue("SN-1", "ACQ", &Token::new(true).unwrap()).unwrap();
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert!(tickets.open(&changed, "SN-1", "ACQ").is_err(), "byte {at}");
            assert!(tickets.open(&ticket[..at], "SN-1", "ACQ").is_err(), "length {at}");
        }
    }
}
