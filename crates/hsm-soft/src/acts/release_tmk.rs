use hsm::{
    KeyBlock, Refusal,
    commands::{ReleaseTmk, ReleasedTmk},
};
use paycrypto::{TdesKey, blocks, keys::Tmk};

use super::check_answer::Answer;
use crate::{SoftHsm, lmk::Binding, purpose::Purpose, soft_hsm::place};

/// How often a TMK is made again because its check value is taken: with 24-bit check values and a handful of keys a
/// second time is rare, a third means a broken generator.
const MAX_TRIES: usize = 8;

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
    let (tmk, block) = match &command.pending {
        Some(block) => (load(hsm, block, bound)?, block.clone()),
        None => make(hsm, bound, &command.avoid)?,
    };
    let under_tek = blocks::wrap_tmk(proven.tk().tek(), &tmk, &place, &command.context)
        .map_err(|e| Refusal::NotMade { why: e.to_string() })?;
    Ok(ReleasedTmk { kcv: tmk.kcv(), tmk: block, under_tek })
}

fn load(hsm: &SoftHsm, block: &KeyBlock, bound: Binding<'_>) -> Result<Tmk, Refusal> {
    let opened = hsm.lmk.open("the pending TMK", block, Purpose::Tmk, bound)?;
    let poor = |e: &dyn std::fmt::Display| Refusal::WrongUse {
        what: "the pending TMK".into(),
        found: e.to_string(),
    };
    let key = TdesKey::from_bytes(&opened.key).map_err(|e| poor(&e))?;
    Tmk::from_key(key).map_err(|e| poor(&e))
}

fn make(hsm: &SoftHsm, bound: Binding<'_>, avoid: &[[u8; 3]]) -> Result<(Tmk, KeyBlock), Refusal> {
    for _ in 0..MAX_TRIES {
        let tmk = Tmk::generate().map_err(|e| Refusal::NotMade { why: e.to_string() })?;
        if !avoid.contains(&tmk.kcv()) {
            let block = hsm.lmk.wrap(Purpose::Tmk, bound, tmk.expose())?;
            return Ok((tmk, block));
        }
    }
    Err(Refusal::NotMade { why: "check values repeat: the random numbers are not good".into() })
}
