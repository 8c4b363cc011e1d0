//! Flow E's first half inside the HSM of a TMS (2-wire.md section 4).

use hsm::{
    KeyBlock, Refusal,
    commands::{AnswerTms, TmsAnswer},
};
use paycrypto::{
    blocks,
    keys::{Dmk, Dwk},
};

use super::{
    answer_challenge::SERVER_BIT,
    context::{check_frame, context},
    held_key::{self, Which},
};
use crate::{
    SoftHsm,
    lmk::{Binding, Lmk},
    purpose::Purpose,
    soft_hsm::place,
    tms_tickets::{Challenge, DATA},
};

/// The owner of what is for strangers: no acquirer.
const NOBODY: &str = "-";
/// Its place: no terminal's.
const NOWHERE: &str = "-/00";

/// A DMK that no terminal has, so that a stranger costs the same work as a terminal.
pub(crate) fn strangers(lmk: &Lmk) -> Result<KeyBlock, Refusal> {
    let dmk = Dmk::generate().map_err(|e| not_made(&e))?;
    lmk.wrap(Purpose::Dmk, nobody(), dmk.expose())
}

pub(crate) fn answer_tms(hsm: &SoftHsm, command: &AnswerTms) -> Result<TmsAnswer, Refusal> {
    if command.t_data[0] & SERVER_BIT != 0 {
        return Err(Refusal::Malformed { what: "the top bit of T_DATA must be 0".into() });
    }
    check_frame(&command.hello)?;
    let place = place(&command.pin_pad, 0)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    let (block, bound) = match &command.dmk {
        Some(dmk) => (dmk, bound),
        None => (&hsm.stranger_dmk, nobody()),
    };
    let dmk: Dmk = held_key::load(hsm, Which { name: "the DMK", purpose: Purpose::Dmk, bound }, block)?;
    let dwk = Dwk::generate().map_err(|e| not_made(&e))?;
    let challenge = Challenge {
        t_data: command.t_data,
        s_data: make_s_data(command.when)?,
        counts: command.dmk.is_some(),
        dwk,
    };
    let dwk_1 = blocks::wrap(&dmk, &challenge.dwk, &place, &context(&command.hello));
    Ok(TmsAnswer {
        tac_1: challenge.dwk.mac(&challenge.t_data),
        s_data: challenge.s_data,
        dwk_1: dwk_1.map_err(|e| not_made(&e))?,
        ticket: hsm.tms_tickets.issue(&command.pin_pad, &command.owner, &challenge)?,
    })
}

/// Four random bytes with the top bit set, and the date, which must be BCD.
fn make_s_data(when: [u8; 6]) -> Result<[u8; DATA], Refusal> {
    if when.iter().any(|byte| byte >> 4 > 9 || byte & 0x0F > 9) {
        return Err(Refusal::Malformed { what: "a date has twelve decimal digits".into() });
    }
    let mut random = [0; 4];
    paycrypto::random::fill(&mut random).map_err(|e| not_made(&e))?;
    let [a, b, c, d] = random;
    let [year, month, day, hour, minute, second] = when;
    Ok([a | SERVER_BIT, b, c, d, year, month, day, hour, minute, second])
}

fn nobody() -> Binding<'static> {
    Binding { place: Some(NOWHERE), owner: NOBODY, tk_hash: None }
}

fn not_made(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::NotMade { why: error.to_string() }
}
