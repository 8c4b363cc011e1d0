//! Flow E's second half inside the HSM of a TMS (2-wire.md section 4).

use hsm::{
    Refusal,
    commands::{MAX_TRANSCRIPT, OpenTmsSession, ReleasedKey, TmkWanted, TmsSession},
};
use paycrypto::{
    blocks,
    keys::{Dwk, SessionKey, Tmk},
    mac,
};

use super::{
    context::{check_frames, context},
    held_key::{self, Length, Which},
    operator,
};
use crate::{SoftHsm, lmk::Binding, purpose::Purpose, soft_hsm::place, tms_tickets::Session};

pub(crate) fn open_tms_session(hsm: &SoftHsm, command: &OpenTmsSession) -> Result<TmsSession, Refusal> {
    let OpenTmsSession { ticket, pin_pad, owner, transcript, .. } = command;
    check_frames(transcript, MAX_TRANSCRIPT)?;
    let challenge = hsm.tms_tickets.challenge(ticket, pin_pad, owner)?;
    // Compared for a stranger too: it takes as long.
    let right = mac::matches(&challenge.dwk.mac(&challenge.s_data), &command.sac_1);
    if !(right & challenge.counts) {
        return Err(Refusal::NotProven);
    }
    if let Some(claim) = &command.operator {
        operator::check(hsm, owner, claim, |verifier| {
            verifier.proves(&challenge.dwk, &challenge.t_data, &challenge.s_data, &claim.proof)
        })?;
    }
    let key = SessionKey::generate().map_err(|e| not_made(&e))?;
    let session_block = blocks::wrap(&challenge.dwk, &key, &place(pin_pad, 0)?, &context(transcript))
        .map_err(|e| not_made(&e))?;
    let tmk = match &command.tmk {
        Some(wanted) => {
            let context = context(&[transcript.as_slice(), session_block.as_bytes()].concat());
            Some(give_tmk(hsm, command, wanted, &challenge.dwk, &context)?)
        }
        None => None,
    };
    let session = hsm.tms_tickets.begin(pin_pad, owner, &Session { dwk: challenge.dwk, key })?;
    Ok(TmsSession { session, session_block, tmk })
}

fn give_tmk(
    hsm: &SoftHsm,
    command: &OpenTmsSession,
    wanted: &TmkWanted,
    dwk: &Dwk,
    context: &[u8; blocks::CONTEXT_BYTES],
) -> Result<ReleasedKey, Refusal> {
    let place = place(&command.pin_pad, wanted.slot)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    let which = Which { name: "the pending TMK", purpose: Purpose::Tmk, bound };
    let pending = wanted.pending.as_ref();
    let kept = held_key::load_or_make::<Tmk>(hsm, which, pending, Length::Triple, &wanted.avoid)?;
    let under_tk = blocks::wrap(dwk, &kept.key, &place, context).map_err(|e| not_made(&e))?;
    Ok(ReleasedKey { block: kept.block, kcv: kept.key.kcv(), under_tk })
}

fn not_made(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::NotMade { why: error.to_string() }
}
