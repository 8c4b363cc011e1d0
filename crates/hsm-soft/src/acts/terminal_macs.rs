use hsm::{
    Refusal,
    commands::{MAX_MAC_DATA, MacAnswer, MacItem, MacOutcome, TerminalMacs},
};
use paycrypto::{keys::Mak, mac};

use super::{
    batch,
    held_key::{self, Which},
    sign_in::is_of_a_sign_in,
};
use crate::{SoftHsm, lmk::Binding, purpose::Purpose, soft_hsm::place};

pub(crate) fn terminal_macs(hsm: &SoftHsm, command: &TerminalMacs) -> Result<Vec<MacOutcome>, Refusal> {
    batch::check_count(command.items.len())?;
    Ok(batch::in_halves(&command.items, |items| {
        items.iter().map(|item| answer(hsm, &command.owner, item)).collect()
    }))
}

fn answer(hsm: &SoftHsm, owner: &str, item: &MacItem) -> MacOutcome {
    let data = item.data.expose();
    if !(1..=MAX_MAC_DATA).contains(&data.len()) {
        return Err(Refusal::Malformed { what: format!("a MAC is over 1 to {MAX_MAC_DATA} bytes") });
    }
    if item.mac.is_none() && is_of_a_sign_in(data) {
        return Err(Refusal::Malformed {
            what: "this is a sign-in's confirmation: no MAC is made of it".into(),
        });
    }
    let place = place(&item.pin_pad, item.slot)?;
    let bound = Binding { place: Some(&place), owner, tk_hash: None };
    let mak: Mak = held_key::load(hsm, Which { name: "the MAK", purpose: Purpose::Mak, bound }, &item.mak)?;
    let made = mak.mac(data).map_err(|e| Refusal::NotMade { why: e.to_string() })?;
    Ok(match &item.mac {
        None => MacAnswer::Made(made),
        Some(found) if mac::matches(&made, found) => MacAnswer::Right,
        Some(_) => MacAnswer::Wrong,
    })
}
