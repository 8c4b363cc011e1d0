use hsm::{
    Refusal,
    commands::{CheckAnswer, TransportKeyBlocks},
};
use paycrypto::tk::CheckedTk;

use super::transport_key;
use crate::{SoftHsm, tickets::Party};

pub(crate) fn check_answer(hsm: &SoftHsm, command: &CheckAnswer) -> Result<(), Refusal> {
    let answer = Answer {
        ticket: &command.ticket,
        crnd2: command.crnd2,
        transport_key: &command.transport_key,
        pin_pad: &command.pin_pad,
        owner: &command.owner,
    };
    answer.prove(hsm).map(drop)
}

/// A terminal's answer to a challenge.
pub(super) struct Answer<'a> {
    pub(super) ticket: &'a [u8],
    pub(super) crnd2: [u8; 8],
    pub(super) transport_key: &'a TransportKeyBlocks,
    pub(super) pin_pad: &'a str,
    pub(super) owner: &'a str,
}

/// A TK whose holder has proved that it holds it. Only [`Answer::prove`] makes one.
pub(super) struct Proven(CheckedTk);

impl Answer<'_> {
    pub(super) fn prove(&self, hsm: &SoftHsm) -> Result<Proven, Refusal> {
        let tk = transport_key::load(hsm, self.transport_key, self.pin_pad, self.owner)?;
        let party = Party { pin_pad: self.pin_pad, owner: self.owner, tk_hash: &tk.sha256() };
        let rnd2 = hsm.tickets.check(self.ticket, &party)?;
        if !tk.auk().answers(rnd2, &self.crnd2) {
            return Err(Refusal::NotProven);
        }
        Ok(Proven(tk))
    }
}

impl Proven {
    pub(super) fn tk(&self) -> &CheckedTk {
        &self.0
    }
}
