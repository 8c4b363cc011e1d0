//! Working keys of flow F in suite 02: made, and confirmed (3-hardened.md).

use hsm::{
    Refusal,
    commands::{ConfirmSignInEc, MakeWorkingKeysEc, ReleasedKeyEc},
};
use paycrypto::ec::{
    blocks::{self, Protects},
    keys::{Mak, Pik, Tdk, Tmk},
};

use super::{
    context::{check_frame, context},
    held_key_ec::{self, HeldEc},
    sign_in::{CONFIRM, DONE, KEYS},
};
use crate::{SoftHsm, lmk::Binding, soft_hsm::place};

/// Bytes of DF14.
const NONCE: usize = 32;
/// Bytes of a check value.
const KCV: usize = 5;

pub(crate) fn make_working_keys_ec(
    hsm: &SoftHsm,
    command: &MakeWorkingKeysEc,
) -> Result<Vec<ReleasedKeyEc>, Refusal> {
    check_frame(&command.transcript)?;
    let place = place(&command.pin_pad, command.slot)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    let tmk: Tmk = held_key_ec::load(hsm, "the TMK", bound, &command.tmk)?;
    let mut giver = Giver {
        hsm,
        tmk,
        place: &place,
        bound,
        avoid: command.avoid.clone(),
        said: command.transcript.clone(),
    };
    let mut keys = vec![giver.give::<Pik>()?, giver.give::<Mak>()?];
    if command.tdk {
        keys.push(giver.give::<Tdk>()?);
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
    fn give<K: HeldEc + blocks::BlockKey>(&mut self) -> Result<ReleasedKeyEc, Refusal>
    where
        Tmk: Protects<K>,
    {
        let kept = held_key_ec::make::<K>(self.hsm, self.bound, &self.avoid)?;
        let wrapped = blocks::wrap(&self.tmk, &kept.key, self.place, &context(&self.said))
            .map_err(|e| Refusal::NotMade { why: e.to_string() })?;
        self.said.extend_from_slice(wrapped.as_bytes());
        let kcv = kept.key.check_value();
        self.avoid.push(kcv);
        Ok(ReleasedKeyEc { block: kept.block, kcv, wrapped })
    }
}

pub(crate) fn confirm_sign_in_ec(hsm: &SoftHsm, command: &ConfirmSignInEc) -> Result<[u8; 16], Refusal> {
    if !KEYS.contains(&command.kcvs.len()) {
        return Err(Refusal::Malformed { what: "a sign-in brings 2 or 3 keys".into() });
    }
    let place = place(&command.pin_pad, command.slot)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    let mak: Mak = held_key_ec::load(hsm, "the MAK", bound, &command.mak)?;
    let confirmed = [CONFIRM, &command.nonce, command.kcvs.as_flattened()].concat();
    if !mak.verifies(&confirmed, &command.mac) {
        return Err(Refusal::NotProven);
    }
    Ok(mak.mac(&[DONE, &command.nonce].concat()))
}

/// Whether a message is what a confirmation or a DONE of suite 02 is made over: no other command makes a MAC of that.
pub(super) fn is_of_a_sign_in(data: &[u8]) -> bool {
    super::sign_in::has_form(data, NONCE, KCV)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sign_in_is_confirmed_with_is_known_by_its_form() {
        let message = |text: &[u8], bytes: usize| [text, &vec![7; bytes]].concat();
        for (data, is) in [
            (message(b"OK", NONCE + 2 * KCV), true),
            (message(b"OK", NONCE + 3 * KCV), true),
            (message(b"DONE", NONCE), true),
            (message(b"OK", NONCE + KCV), false),
            (message(b"OK", NONCE + 4 * KCV), false),
            (message(b"OK", NONCE + 2 * KCV + 1), false),
            (message(b"OK", NONCE - 1), false),
            (message(b"OK", 8 + 2 * 3), false),
            (message(b"DONE", NONCE - 1), false),
            (message(b"DONE", NONCE + 1), false),
            (message(b"0200", NONCE), false),
        ] {
            assert_eq!(is_of_a_sign_in(&data), is, "{} bytes", data.len());
        }
    }
}
