//! DIK1: made, exported and imported under an exchange key, loaded for derivation.

use hsm::{
    KeyBlock, Refusal,
    commands::{ExportDik1, HeldKey, ImportDik1, MakeDik1},
};
use keyblock::KeyVersion;
use paycrypto::TdesKey;

use super::exchange::{self, Cipher, Exchange, Travels};
use crate::{
    SoftHsm,
    lmk::{Binding, Lmk, NAME},
    purpose::Purpose,
    soft_hsm::check_name,
};

/// The owner of the DIK1 for strangers: no acquirer.
pub(super) const NOBODY: &str = "-";

/// A DIK1 that no device has, so that a stranger costs the same work as a device.
pub(crate) fn strangers(lmk: &Lmk) -> Result<KeyBlock, Refusal> {
    make(lmk, NOBODY, "strangers").map(|made| made.block)
}

pub(crate) fn make_dik1(hsm: &SoftHsm, command: &MakeDik1) -> Result<HeldKey, Refusal> {
    make(&hsm.lmk, &command.owner, &command.label)
}

pub(crate) fn export_dik1(hsm: &SoftHsm, command: &ExportDik1) -> Result<String, Refusal> {
    let under = Exchange::open(hsm, &command.under, &command.owner, &Cipher::BOTH)?;
    let purpose = under.cipher().dik1();
    let opened = hsm.lmk.open("DIK1", &command.dik1, purpose, bound(&command.owner))?;
    exchange::check_leaving(purpose, &opened.key)?;
    let label = opened.note(NAME).unwrap_or_default();
    under.wrap(&Travels::dik1(label), &opened.key)
}

pub(crate) fn import_dik1(hsm: &SoftHsm, command: &ImportDik1) -> Result<HeldKey, Refusal> {
    check_name("a DIK1's label", &command.label)?;
    let under = Exchange::open(hsm, &command.under, &command.owner, &[Cipher::Tdes])?;
    let key = under.unwrap(&Travels::dik1(&command.label), &command.block)?;
    let kcv = exchange::check_triple(&key)?;
    Ok(HeldKey { block: keep(&hsm.lmk, &command.owner, &command.label, &key)?, kcv })
}

fn make(lmk: &Lmk, owner: &str, label: &str) -> Result<HeldKey, Refusal> {
    check_name("a DIK1's label", label)?;
    let key = TdesKey::generate24().map_err(|e| Refusal::NotMade { why: e.to_string() })?;
    Ok(HeldKey { block: keep(lmk, owner, label, key.expose())?, kcv: key.kcv() })
}

/// The DIK1 in `block`. Whether it is poor is looked at by the derivation.
pub(super) fn load(hsm: &SoftHsm, block: &KeyBlock, owner: &str) -> Result<TdesKey, Refusal> {
    let opened = hsm.lmk.open("DIK1", block, Purpose::Dik1, bound(owner))?;
    TdesKey::from_bytes(&opened.key)
        .map_err(|e| Refusal::WrongUse { what: "DIK1".into(), found: e.to_string() })
}

fn keep(lmk: &Lmk, owner: &str, label: &str, key: &[u8]) -> Result<KeyBlock, Refusal> {
    lmk.wrap_noted(Purpose::Dik1, bound(owner), KeyVersion::UNUSED, &[(NAME, label)], key)
}

/// A DIK1 belongs to no PIN pad.
fn bound(owner: &str) -> Binding<'_> {
    Binding { place: None, owner, tk_hash: None }
}
