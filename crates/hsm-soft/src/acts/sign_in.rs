//! Working keys of flow F: made, and confirmed (2-wire.md section 4).

use hsm::{
    Refusal,
    commands::{ConfirmSignIn, MakeWorkingKeys, PikLength, ReleasedKey},
};
use paycrypto::{
    blocks::{self, BlockKey, Protects},
    keys::{Mak, Pik, Tdk, Tmk},
    mac,
};

use super::{
    context::{check_frame, context},
    held_key::{self, Length, Which},
};
use crate::{SoftHsm, lmk::Binding, purpose::Purpose, soft_hsm::place};

/// In front of what SIGN_IN_CONFIRM's MAC is over.
pub(super) const CONFIRM: &[u8] = b"OK";
/// In front of what DONE's MAC is over.
pub(super) const DONE: &[u8] = b"DONE";
/// Bytes of Rnd1.
const RND1: usize = 8;
/// Bytes of a check value.
const KCV: usize = 3;
/// How many keys a sign-in brings: PIK, MAK and, where wanted, TDK.
pub(super) const KEYS: std::ops::RangeInclusive<usize> = 2..=3;

pub(crate) fn make_working_keys(
    hsm: &SoftHsm,
    command: &MakeWorkingKeys,
) -> Result<Vec<ReleasedKey>, Refusal> {
    check_frame(&command.transcript)?;
    let place = place(&command.pin_pad, command.slot)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    let tmk: Tmk =
        held_key::load(hsm, Which { name: "the TMK", purpose: Purpose::Tmk, bound }, &command.tmk)?;
    let pik = match command.pik {
        PikLength::Double => Length::Double,
        PikLength::Triple => Length::Triple,
    };
    let mut giver = Giver {
        hsm,
        tmk,
        place: &place,
        bound,
        avoid: command.avoid.clone(),
        said: command.transcript.clone(),
    };
    let mut keys = vec![
        giver.give::<Pik>("the PIK", Purpose::Pik, pik)?,
        giver.give::<Mak>("the MAK", Purpose::Mak, Length::Double)?,
    ];
    if command.tdk {
        keys.push(giver.give::<Tdk>("the TDK", Purpose::Tdk, Length::Triple)?);
    }
    Ok(keys)
}

/// Gives keys one after the other, each bound to those before it.
struct Giver<'a> {
    hsm: &'a SoftHsm,
    tmk: Tmk,
    place: &'a str,
    bound: Binding<'a>,
    avoid: Vec<[u8; KCV]>,
    said: Vec<u8>,
}

impl Giver<'_> {
    fn give<K: BlockKey>(
        &mut self,
        name: &'static str,
        purpose: Purpose,
        length: Length,
    ) -> Result<ReleasedKey, Refusal>
    where
        Tmk: Protects<K>,
    {
        let which = Which { name, purpose, bound: self.bound };
        let kept = held_key::load_or_make::<K>(self.hsm, which, None, length, &self.avoid)?;
        let under_tk = blocks::wrap(&self.tmk, &kept.key, self.place, &context(&self.said))
            .map_err(|e| Refusal::NotMade { why: e.to_string() })?;
        self.said.extend_from_slice(under_tk.as_bytes());
        let kcv = kept.key.key().kcv();
        self.avoid.push(kcv);
        Ok(ReleasedKey { block: kept.block, kcv, under_tk })
    }
}

pub(crate) fn confirm_sign_in(hsm: &SoftHsm, command: &ConfirmSignIn) -> Result<[u8; 8], Refusal> {
    if !KEYS.contains(&command.kcvs.len()) {
        return Err(Refusal::Malformed { what: "a sign-in brings 2 or 3 keys".into() });
    }
    let place = place(&command.pin_pad, command.slot)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    let mak: Mak =
        held_key::load(hsm, Which { name: "the MAK", purpose: Purpose::Mak, bound }, &command.mak)?;
    let make = |data: &[u8]| mak.mac(data).map_err(|e| Refusal::NotMade { why: e.to_string() });
    let confirmed = [CONFIRM, &command.rnd1, command.kcvs.as_flattened()].concat();
    if !mac::matches(&make(&confirmed)?, &command.mac) {
        return Err(Refusal::NotProven);
    }
    make(&[DONE, &command.rnd1].concat())
}

/// Whether a message is what a confirmation or a DONE is made over: no other command makes a MAC of that.
pub(super) fn is_of_a_sign_in(data: &[u8]) -> bool {
    has_form(data, RND1, KCV)
}

/// `"OK"`, a nonce and 2 or 3 check values, or `"DONE"` and a nonce, of the lengths that a suite has.
pub(super) fn has_form(data: &[u8], nonce: usize, kcv: usize) -> bool {
    let confirm = data
        .strip_prefix(CONFIRM)
        .and_then(|rest| rest.len().checked_sub(nonce))
        .is_some_and(|kcvs| kcvs.is_multiple_of(kcv) && KEYS.contains(&(kcvs / kcv)));
    let done = data.strip_prefix(DONE).is_some_and(|rest| rest.len() == nonce);
    confirm || done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sign_in_is_confirmed_with_is_known_by_its_form() {
        for (data, is) in [
            (&b"OK12345678aaabbb"[..], true),
            (b"OK12345678aaabbbccc", true),
            (b"DONE12345678", true),
            (b"OK12345678", false),
            (b"OK12345678aaa", false),
            (b"OK12345678aaabb", false),
            (b"OK12345678aaabbbcccddd", false),
            (b"DONE1234567", false),
            (b"DONE123456789", false),
            (b"OK", false),
            (b"0200723...", false),
        ] {
            assert_eq!(is_of_a_sign_in(data), is, "{data:?}");
        }
    }
}
