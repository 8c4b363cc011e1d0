use hsm::{
    Refusal,
    commands::{ReleaseTmk, ReleasedTmk},
};
use paycrypto::{blocks, keys::Tmk};

use super::{
    check_answer::Answer,
    held_key::{self, Kept, Length, Which},
};
use crate::{SoftHsm, lmk::Binding, purpose::Purpose, soft_hsm::place};

pub(crate) fn release_tmk(hsm: &SoftHsm, command: &ReleaseTmk) -> Result<ReleasedTmk, Refusal> {
    let Some(transport_key) = &command.transport_key else { return Err(Refusal::NotProven) };
    let answer = Answer {
        ticket: &command.ticket,
        crnd2: command.crnd2,
        transport_key,
        pin_pad: &command.pin_pad,
        owner: &command.owner,
    };
    let proven = answer.prove(hsm)?;
    let place = place(&command.pin_pad, command.slot)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    let which = Which { name: "the pending TMK", purpose: Purpose::Tmk, bound };
    let Kept { key: tmk, block } =
        held_key::load_or_make::<Tmk>(hsm, which, command.pending.as_ref(), Length::Triple, &command.avoid)?;
    let under_tek = blocks::wrap_tmk(proven.tk().tek(), &tmk, &place, &command.context)
        .map_err(|e| Refusal::NotMade { why: e.to_string() })?;
    Ok(ReleasedTmk { kcv: tmk.kcv(), tmk: block, under_tek })
}
