//! TK of suite 02 inside the HSM: opened when it is collected, stored and loaded as two blocks.

use hsm::{
    Refusal,
    commands::{OpenCollectedEc, TransportKeyBlocks},
};
use paycrypto::{
    digest,
    ec::{
        CollectInfo, Tk,
        keys::{Auk, Tek},
    },
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{dik1::NOBODY, ephemeral::check_whole};
use crate::{
    HsmSoftError, SoftHsm, hex, key_pairs,
    lmk::{Binding, Lmk},
    purpose::Purpose,
    soft_hsm::{check_name, place},
};

/// TK belongs to the PIN pad, not to a slot: its place has index 00.
const INDEX: u8 = 0;

pub(crate) fn open_collected_ec(
    hsm: &SoftHsm,
    command: &OpenCollectedEc,
) -> Result<TransportKeyBlocks, Refusal> {
    check_name("a serial", &command.sn)?;
    check_name("a PIN pad serial", &command.pin_pad)?;
    check_whole(&command.collect)?;
    let work = key_pairs::open_agreement(&hsm.lmk, &command.work_key, &command.owner)?;
    let info = CollectInfo::new(&command.collect, &command.sn, &command.pin_pad, command.generation);
    let tk = Tk::open(&work, &info, &command.df09).map_err(|_| {
        refused("it does not open for this COLLECT, PIN pad and generation under the work key")
    })?;
    store(&hsm.lmk, &tk, &command.pin_pad, &command.owner)
}

/// A TK that no terminal has, so that a stranger costs the same work as a terminal.
pub(crate) fn strangers_tk(lmk: &Lmk) -> Result<TransportKeyBlocks, HsmSoftError> {
    let tk = Tk::generate().map_err(|e| HsmSoftError::Random(e.to_string()))?;
    Ok(store(lmk, &tk, NOBODY, NOBODY)?)
}

/// The TK that strangers are answered under.
pub(super) fn load_strangers(hsm: &SoftHsm) -> Result<Tk, Refusal> {
    load(hsm, &hsm.stranger_tk, NOBODY, NOBODY)
}

/// Loads a TK from its blocks and checks its hash: TEK and AUK of one PIN pad, but of two collections, are refused.
pub(super) fn load(
    hsm: &SoftHsm,
    blocks: &TransportKeyBlocks,
    pin_pad: &str,
    owner: &str,
) -> Result<Tk, Refusal> {
    let place = place(pin_pad, INDEX)?;
    let bound = Binding { place: Some(&place), owner, tk_hash: None };
    let tek = hsm.lmk.open("TEK", &blocks.tek, Purpose::TekAes, bound)?;
    let auk = hsm.lmk.open("AUK", &blocks.auk, Purpose::AukAes, bound)?;
    let length = || refused("a half of it has another length");
    let tk = Tk::from_keys(
        Tek::from_bytes(tek.key.as_slice().try_into().map_err(|_| length())?),
        Auk::from_bytes(auk.key.as_slice().try_into().map_err(|_| length())?),
    )
    .map_err(|e| refused(&e.to_string()))?;
    let hash = hash(&tk);
    let same = |found: Option<String>| {
        found.is_some_and(|found| bool::from(found.as_bytes().ct_eq(hash.as_bytes())))
    };
    if !same(tek.tk_hash) || !same(auk.tk_hash) {
        return Err(refused("TEK and AUK are not of one TK: were database rows mixed?"));
    }
    Ok(tk)
}

/// Puts a TK under the LMK, as two blocks that each carry the hash of the whole.
pub(super) fn store(lmk: &Lmk, tk: &Tk, pin_pad: &str, owner: &str) -> Result<TransportKeyBlocks, Refusal> {
    let (place, hash) = (place(pin_pad, INDEX)?, hash(tk));
    let bound = Binding { place: Some(&place), owner, tk_hash: Some(&hash) };
    Ok(TransportKeyBlocks {
        tek: lmk.wrap(Purpose::TekAes, bound, tk.tek().expose())?,
        auk: lmk.wrap(Purpose::AukAes, bound, tk.auk().expose())?,
    })
}

/// SHA-256(TEK ‖ AUK), upper-case hex.
fn hash(tk: &Tk) -> String {
    let mut both = Zeroizing::new([0; Tek::LENGTH + Auk::LENGTH]);
    let bytes = tk.tek().expose().iter().chain(tk.auk().expose());
    both.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    hex(&digest::sha256(&*both))
}

fn refused(defect: &str) -> Refusal {
    Refusal::TransportKey { defect: defect.into() }
}
