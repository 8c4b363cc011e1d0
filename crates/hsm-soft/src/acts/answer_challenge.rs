use hsm::{
    Refusal,
    commands::{AnswerChallenge, Challenge},
};

use super::transport_key;
use crate::{SoftHsm, tickets::Party};

/// The bit that tells the directions apart: 0 in a terminal's Rnd1, 1 in a server's Rnd2 (2-wire.md section 4).
pub(super) const SERVER_BIT: u8 = 0x80;

pub(crate) fn answer_challenge(hsm: &SoftHsm, command: &AnswerChallenge) -> Result<Challenge, Refusal> {
    refuse_servers_number(command.rnd1)?;
    let tk = transport_key::load(hsm, &command.transport_key, &command.pin_pad, &command.owner)?;
    let rnd2 = make_rnd2()?;
    let party = Party { pin_pad: &command.pin_pad, owner: &command.owner, tk_hash: &tk.sha256() };
    let ticket = hsm.tickets.issue(&party, rnd2);
    Ok(Challenge { crnd1: tk.auk().answer(command.rnd1), rnd2, ticket })
}

pub(super) fn refuse_servers_number(rnd1: [u8; 8]) -> Result<(), Refusal> {
    if rnd1[0] & SERVER_BIT != 0 {
        return Err(Refusal::Malformed { what: "the top bit of Rnd1 must be 0".into() });
    }
    Ok(())
}

pub(super) fn make_rnd2() -> Result<[u8; 8], Refusal> {
    let mut rnd2 = [0; 8];
    paycrypto::random::fill(&mut rnd2).map_err(|e| Refusal::NotMade { why: e.to_string() })?;
    rnd2[0] |= SERVER_BIT;
    Ok(rnd2)
}
