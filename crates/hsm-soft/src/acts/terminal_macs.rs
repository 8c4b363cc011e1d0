use hsm::{
    Refusal,
    commands::{MAX_MAC_DATA, MacAnswer, MacItem, MacOutcome, TerminalMacs},
};
use paycrypto::{TdesKey, ec, keys, mac};

use super::{batch, held_key_ec::HeldEc, sign_in, sign_in_ec};
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
    let place = place(&item.pin_pad, item.slot)?;
    let mak = MacKey::open(hsm, Binding { place: Some(&place), owner, tk_hash: None }, item)?;
    if item.mac.is_none() && mak.confirms_with(data) {
        return Err(Refusal::Malformed {
            what: "this is a sign-in's confirmation: no MAC is made of it".into(),
        });
    }
    let made = mak.mac(data)?;
    Ok(match &item.mac {
        None => MacAnswer::Made(made),
        Some(found) if mac::matches(&made, found) => MacAnswer::Right,
        Some(_) => MacAnswer::Wrong,
    })
}

/// A MAK of either suite.
enum MacKey {
    Tdes(keys::Mak),
    Aes(ec::keys::Mak),
}

impl MacKey {
    fn open(hsm: &SoftHsm, bound: Binding<'_>, item: &MacItem) -> Result<Self, Refusal> {
        const WHAT: &str = "the MAK";
        let (purpose, opened) =
            hsm.lmk.open_one_of(WHAT, &item.mak, &[Purpose::Mak, Purpose::MakAes], bound)?;
        let poor = |found: String| Refusal::WrongUse { what: WHAT.into(), found };
        if purpose == Purpose::MakAes {
            let wrong = || poor(format!("a key of {} bytes", opened.key.len()));
            return ec::keys::Mak::of(&opened.key).map(Self::Aes).ok_or_else(wrong);
        }
        let key = TdesKey::from_bytes(&opened.key).and_then(keys::Mak::from_key);
        key.map(Self::Tdes).map_err(|e| poor(e.to_string()))
    }

    /// Whether this is what the key's own suite confirms a sign-in with.
    fn confirms_with(&self, data: &[u8]) -> bool {
        match self {
            Self::Tdes(_) => sign_in::is_of_a_sign_in(data),
            Self::Aes(_) => sign_in_ec::is_of_a_sign_in(data),
        }
    }

    fn mac(&self, data: &[u8]) -> Result<Vec<u8>, Refusal> {
        match self {
            Self::Tdes(mak) => {
                let made = mak.mac(data).map_err(|e| Refusal::NotMade { why: e.to_string() })?;
                Ok(made.to_vec())
            }
            Self::Aes(mak) => Ok(mak.mac(data).to_vec()),
        }
    }
}
