//! DIK1 of suite 02: made, imported under an AES exchange key, loaded for derivation.

use hsm::{
    KeyBlock, Refusal,
    commands::{HeldKeyEc, ImportDik1Ec, MakeDik1Ec},
};
use keyblock::KeyVersion;
use paycrypto::{ec::keys::Dik1, hygiene::refuse_repeated};

use super::{
    dik1::NOBODY,
    exchange::{Cipher, Exchange, Travels, refused},
};
use crate::{
    SoftHsm,
    lmk::{Binding, Lmk, NAME},
    purpose::Purpose,
    soft_hsm::check_name,
};

/// A DIK1 that no device has, so that a stranger costs the same work as a device.
pub(crate) fn strangers(lmk: &Lmk) -> Result<KeyBlock, Refusal> {
    make(lmk, NOBODY, "strangers").map(|made| made.block)
}

pub(crate) fn make_dik1_ec(hsm: &SoftHsm, command: &MakeDik1Ec) -> Result<HeldKeyEc, Refusal> {
    make(&hsm.lmk, &command.owner, &command.label)
}

pub(crate) fn import_dik1_ec(hsm: &SoftHsm, command: &ImportDik1Ec) -> Result<HeldKeyEc, Refusal> {
    check_name("a DIK1's label", &command.label)?;
    let under = Exchange::open(hsm, &command.under, &command.owner, &[Cipher::Aes])?;
    let key = under.unwrap(&Travels::dik1(&command.label), &command.block)?;
    let key = of(&key).ok_or_else(|| refused(&format!("a key of {} bytes; such a key has 32", key.len())))?;
    refuse_repeated(key.expose()).map_err(|e| refused(&e))?;
    keep(&hsm.lmk, &command.owner, &command.label, &key)
}

fn make(lmk: &Lmk, owner: &str, label: &str) -> Result<HeldKeyEc, Refusal> {
    check_name("a DIK1's label", label)?;
    let key = Dik1::generate().map_err(|e| Refusal::NotMade { why: e.to_string() })?;
    keep(lmk, owner, label, &key)
}

/// The DIK1 in `block`.
pub(super) fn load(hsm: &SoftHsm, block: &KeyBlock, owner: &str) -> Result<Dik1, Refusal> {
    let opened = hsm.lmk.open("DIK1", block, Purpose::Dik1Aes, bound(owner))?;
    of(&opened.key).ok_or_else(|| Refusal::WrongUse {
        what: "DIK1".into(),
        found: format!("a key of {} bytes", opened.key.len()),
    })
}

fn of(clear: &[u8]) -> Option<Dik1> {
    clear.try_into().ok().map(Dik1::from_bytes)
}

fn keep(lmk: &Lmk, owner: &str, label: &str, key: &Dik1) -> Result<HeldKeyEc, Refusal> {
    let notes = [(NAME, label)];
    let block = lmk.wrap_noted(Purpose::Dik1Aes, bound(owner), KeyVersion::UNUSED, &notes, key.expose())?;
    Ok(HeldKeyEc { block, kcv: key.kcv() })
}

/// A DIK1 belongs to no PIN pad.
fn bound(owner: &str) -> Binding<'_> {
    Binding { place: None, owner, tk_hash: None }
}
