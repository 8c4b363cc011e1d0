//! One key, one use: a key that is brought must not be one that this PIN pad holds for something else.
//!
//! Usages in headers keep a block from serving two purposes. They cannot keep a server from putting the same bytes into
//! two blocks, after which a PIN block could be a MAC's input or a track's cipher; so the PIN pad compares the bytes
//! themselves, parity bits set aside, in constant time.

use std::fmt;

use flows::PadRefusal;
use subtle::ConstantTimeEq;
use wire::Slot;

use super::keys::{EcAes, KeptKey, Keys, Tdes};
use super::slot_keys::{Held, SlotKeys};
use super::state::PadState;

/// A key's bits that are not parity.
const WITHOUT_PARITY: u8 = 0xFE;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyUse {
    Tek,
    Auk,
    Dik2,
    Dmk,
    Dwk,
    Session,
    Tmk,
    Pik,
    Mak,
    Tdk,
}

impl fmt::Display for KeyUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyUse::Tek => "TEK",
            KeyUse::Auk => "AUK",
            KeyUse::Dik2 => "DIK2",
            KeyUse::Dmk => "DMK",
            KeyUse::Dwk => "DWK",
            KeyUse::Session => "session key",
            KeyUse::Tmk => "TMK",
            KeyUse::Pik => "PIK",
            KeyUse::Mak => "MAK",
            KeyUse::Tdk => "TDK",
        })
    }
}

/// A key with its use, for comparing.
pub(super) type Named<'a> = (KeyUse, &'a [u8]);

/// Whether two keys have the same bytes, parity set aside, as far as the shorter one goes: a 16-byte key that is the
/// beginning of a 24-byte one is no key of its own either.
fn same(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |difference, (a, b)| difference | ((a ^ b) & WITHOUT_PARITY));
    difference.ct_eq(&0).into()
}

/// Refuses a key that is one of these keys of other uses.
///
/// # Errors
/// [`PadRefusal::KeyRefused`], which names both uses.
pub(super) fn refuse_twin<'a>(
    (brought, bytes): Named<'_>,
    held: impl IntoIterator<Item = Named<'a>>,
) -> Result<(), PadRefusal> {
    match twin((brought, bytes), held) {
        Some(why) => Err(PadRefusal::KeyRefused { why }),
        None => Ok(()),
    }
}

/// As [`refuse_twin`]: the words of the refusal, if there is one.
pub(super) fn twin<'a>(
    (brought, bytes): Named<'_>,
    held: impl IntoIterator<Item = Named<'a>>,
) -> Option<String> {
    let (used_as, _) = held.into_iter().find(|(used_as, other)| *used_as != brought && same(bytes, other))?;
    Some(format!("the {brought} is the same key as the {used_as}"))
}

impl PadState {
    /// The keys beside which a key for this slot, or for a place of its own, must be another one.
    pub(super) fn held_beside(&self, slot: Option<Slot>) -> Vec<Named<'_>> {
        let tk = self.tk.iter().flat_map(|tk| [KeyUse::Tek, KeyUse::Auk].into_iter().zip(tk.parts()));
        tk.chain(suite_keys::<Tdes>(self, slot)).chain(suite_keys::<EcAes>(self, slot)).collect()
    }
}

/// The same of one suite.
fn suite_keys<S: Keys>(state: &PadState, slot: Option<Slot>) -> impl Iterator<Item = Named<'_>> {
    let keys = state.of::<S>();
    let dik2 = keys.identity.iter().flat_map(|held| held.all().map(|key| (KeyUse::Dik2, key.clear())));
    let dmk = keys.dmk.iter().flat_map(|held| held.all().map(|key| (KeyUse::Dmk, key.clear())));
    let slot = slot.and_then(|slot| keys.slots.get(&slot)).into_iter().flat_map(slot_keys);
    dik2.chain(dmk).chain(slot)
}

fn slot_keys<S: Keys>(keys: &SlotKeys<S>) -> impl Iterator<Item = Named<'_>> {
    let working = &keys.working;
    both(KeyUse::Tmk, Some(&keys.tmk))
        .chain(both(KeyUse::Pik, working.pik.as_ref()))
        .chain(both(KeyUse::Mak, working.mak.as_ref()))
        .chain(both(KeyUse::Tdk, working.tdk.as_ref()))
}

/// A place's key and the one before it.
fn both<K: KeptKey>(used_as: KeyUse, held: Option<&Held<K>>) -> impl Iterator<Item = Named<'_>> {
    let keys = held.into_iter().flat_map(|held| std::iter::once(held.current()).chain(held.previous()));
    keys.map(move |key| (used_as, key.clear()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(a: &[u8], b: &[u8]) -> Option<String> {
        refuse_twin((KeyUse::Pik, a), [(KeyUse::Mak, b)]).err().map(|refusal| refusal.to_string())
    }

    #[test]
    fn the_same_bytes_for_two_uses_are_refused_whatever_their_parity() {
        let (key, other): (Vec<u8>, Vec<u8>) = ((0..16).collect(), (1..17).collect());
        assert_eq!(refusal(&key, &key).unwrap(), "key refused: the PIK is the same key as the MAK");
        let parity: Vec<u8> = key.iter().map(|byte| byte ^ 1).collect();
        assert!(refusal(&key, &parity).is_some());
        assert!(refusal(&key, &other).is_none());
        let mut bit = key.clone();
        bit[15] ^= 0x80;
        assert!(refusal(&key, &bit).is_none());
    }

    #[test]
    fn a_key_that_begins_with_another_is_refused() {
        let key: Vec<u8> = (0..24).collect();
        assert!(refusal(&key, &key[..16]).is_some());
        assert!(refusal(&key[..16], &key).is_some());
    }

    #[test]
    fn the_same_use_again_is_not_its_twin() {
        refuse_twin((KeyUse::Tmk, &[1; 24]), [(KeyUse::Tmk, &[1; 24][..])]).unwrap();
    }
}
