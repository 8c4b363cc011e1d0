use hsm::{
    Refusal,
    commands::{AnswerStranger, Challenge},
};
use paycrypto::digest;

use super::answer_challenge::{make_rnd2, refuse_servers_number};
use crate::{SoftHsm, soft_hsm::place, tickets::Party};

pub(crate) fn answer_stranger(hsm: &SoftHsm, command: &AnswerStranger) -> Result<Challenge, Refusal> {
    refuse_servers_number(command.rnd1)?;
    // The same rule for serials as for those of a known terminal.
    place(&command.sn, 0)?;
    place(&command.pin_pad, 0)?;
    let question = [command.sn.as_bytes(), &[0], command.pin_pad.as_bytes(), &[0], &command.rnd1].concat();
    let answer = digest::hmac_sha256(&*hsm.stranger, &question);
    let mut crnd1 = [0; 8];
    crnd1.iter_mut().zip(answer.iter()).for_each(|(to, from)| *to = *from);
    let rnd2 = make_rnd2()?;
    // A ticket like any other in form, bound to a TK hash that no TK has.
    let party = Party { pin_pad: &command.pin_pad, owner: "", tk_hash: b"stranger" };
    Ok(Challenge { crnd1, rnd2, ticket: hsm.tickets.issue(&party, rnd2) })
}
