//! Tickets: what the HSM gives with a challenge, so that it need not remember it.
//!
//! `issued (8, milliseconds since the start) ‖ Rnd2 (8) ‖ MAC (16)`. The MAC binds the PIN pad, the owner and the
//! TK's hash, under a key that lives as long as the process: a restart ends all open challenges, and the terminals
//! ask again.

use std::time::Instant;

use hsm::Refusal;
use paycrypto::{digest, mac};
use zeroize::Zeroizing;

use crate::HsmSoftError;

/// A challenge not answered in this time is void: the wire's longest message, and a little.
const LIFETIME_MS: u64 = 330_000;
const MAC_LEN: usize = 16;

pub(crate) struct Tickets {
    key: Zeroizing<[u8; 32]>,
    start: Instant,
}

/// What a ticket is good for.
pub(crate) struct Party<'a> {
    pub(crate) pin_pad: &'a str,
    pub(crate) owner: &'a str,
    /// SHA-256 of the TK.
    pub(crate) tk_hash: &'a [u8],
}

impl Tickets {
    pub(crate) fn new() -> Result<Self, HsmSoftError> {
        let mut key = Zeroizing::new([0; 32]);
        paycrypto::random::fill(&mut *key).map_err(|e| HsmSoftError::Random(e.to_string()))?;
        Ok(Self { key, start: Instant::now() })
    }

    pub(crate) fn issue(&self, party: &Party<'_>, rnd2: [u8; 8]) -> Vec<u8> {
        let issued = self.now().to_be_bytes();
        let mut ticket = [issued, rnd2].concat();
        ticket.extend(self.mac(party, issued, rnd2));
        ticket
    }

    /// The Rnd2 of a ticket that this HSM gave this party, lately.
    pub(crate) fn check(&self, ticket: &[u8], party: &Party<'_>) -> Result<[u8; 8], Refusal> {
        let (issued, rest) = ticket.split_first_chunk::<8>().ok_or(Refusal::NotProven)?;
        let (rnd2, found) = rest.split_first_chunk::<8>().ok_or(Refusal::NotProven)?;
        if !mac::matches(&self.mac(party, *issued, *rnd2), found) {
            return Err(Refusal::NotProven);
        }
        if self.now().saturating_sub(u64::from_be_bytes(*issued)) > LIFETIME_MS {
            return Err(Refusal::TicketExpired);
        }
        Ok(*rnd2)
    }

    fn mac(&self, party: &Party<'_>, issued: [u8; 8], rnd2: [u8; 8]) -> [u8; MAC_LEN] {
        let mut message = b"KF ticket A".to_vec();
        message.extend(issued);
        message.extend(rnd2);
        for part in [party.pin_pad.as_bytes(), party.owner.as_bytes(), party.tk_hash] {
            message.extend((part.len() as u64).to_be_bytes());
            message.extend_from_slice(part);
        }
        let whole = digest::hmac_sha256(&*self.key, &message);
        let mut mac = [0; MAC_LEN];
        mac.iter_mut().zip(whole.iter()).for_each(|(to, from)| *to = *from);
        mac
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTY: Party<'_> = Party { pin_pad: "SN-1", owner: "ACQ", tk_hash: &[1; 32] };

    #[test]
    fn a_ticket_is_good_for_its_party_only() {
        let tickets = Tickets::new().unwrap();
        let ticket = tickets.issue(&PARTY, [0x81; 8]);
        assert_eq!(tickets.check(&ticket, &PARTY), Ok([0x81; 8]));
        for other in [
            Party { pin_pad: "SN-2", ..PARTY },
            Party { owner: "ACR", ..PARTY },
            Party { tk_hash: &[2; 32], ..PARTY },
            Party { pin_pad: "SN-1ACQ", owner: "", ..PARTY },
        ] {
            assert_eq!(tickets.check(&ticket, &other), Err(Refusal::NotProven));
        }
        assert_eq!(
            Tickets::new().unwrap().check(&ticket, &PARTY),
            Err(Refusal::NotProven),
            "another process"
        );
    }

    #[test]
    fn a_changed_or_cut_ticket_is_refused() {
        let tickets = Tickets::new().unwrap();
        let ticket = tickets.issue(&PARTY, [0x81; 8]);
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(tickets.check(&changed, &PARTY), Err(Refusal::NotProven), "byte {at}");
            assert_eq!(tickets.check(&ticket[..at], &PARTY), Err(Refusal::NotProven), "length {at}");
        }
    }
}
