//! TK inside the HSM: how a collected one is opened, and how one is stored and loaded as two blocks.

use hsm::{KeyBlock, Refusal, commands::TransportKeyBlocks};
use paycrypto::{
    TdesKey,
    tk::{CheckedTk, UncheckedTk},
};
use subtle::ConstantTimeEq;

use crate::{SoftHsm, hex, lmk::Binding, purpose::Purpose, soft_hsm::place};

/// TK belongs to the PIN pad, not to a slot: its place has index 00.
const INDEX: u8 = 0;

/// Opens `Ctk_Pu` and checks what is in it.
pub(super) fn open_ciphertext(
    hsm: &SoftHsm,
    work_key: &KeyBlock,
    ctk_pu: &[u8],
    owner: &str,
) -> Result<CheckedTk, Refusal> {
    let key = hsm.key_pairs.open(&hsm.lmk, work_key, Purpose::KmsWork, owner)?;
    let refused = |defect: &dyn std::fmt::Display| Refusal::TransportKey { defect: defect.to_string() };
    let clear = key.oaep_decrypt(ctk_pu).map_err(|_| refused(&"it does not open under the work key"))?;
    UncheckedTk::new(clear).check().map_err(|defect| refused(&defect))
}

/// Puts a checked TK under the LMK, as two blocks that each carry the hash of the whole.
pub(super) fn store(
    hsm: &SoftHsm,
    tk: &CheckedTk,
    pin_pad: &str,
    owner: &str,
) -> Result<TransportKeyBlocks, Refusal> {
    let (place, hash) = (place(pin_pad, INDEX)?, hex(&tk.sha256()));
    let bound = Binding { place: Some(&place), owner, tk_hash: Some(&hash) };
    Ok(TransportKeyBlocks {
        tek: hsm.lmk.wrap(Purpose::Tek, bound, tk.tek().expose())?,
        auk: hsm.lmk.wrap(Purpose::Auk, bound, tk.auk().expose())?,
    })
}

/// Loads a TK from its blocks and checks its hash: TEK and AUK of one PIN pad, but of two collections, are refused.
pub(super) fn load(
    hsm: &SoftHsm,
    blocks: &TransportKeyBlocks,
    pin_pad: &str,
    owner: &str,
) -> Result<CheckedTk, Refusal> {
    let place = place(pin_pad, INDEX)?;
    let bound = Binding { place: Some(&place), owner, tk_hash: None };
    let tek = hsm.lmk.open("TEK", &blocks.tek, Purpose::Tek, bound)?;
    let auk = hsm.lmk.open("AUK", &blocks.auk, Purpose::Auk, bound)?;
    let refused = |defect: &dyn std::fmt::Display| Refusal::TransportKey { defect: defect.to_string() };
    let key = |bytes: &[u8]| TdesKey::from_bytes(bytes).map_err(|e| refused(&e));
    let tk = CheckedTk::from_keys(key(&tek.key)?, key(&auk.key)?).map_err(|defect| refused(&defect))?;
    let hash = hex(&tk.sha256());
    let same = |found: Option<String>| {
        found.is_some_and(|found| bool::from(found.as_bytes().ct_eq(hash.as_bytes())))
    };
    if !same(tek.tk_hash) || !same(auk.tk_hash) {
        return Err(refused(&"TEK and AUK are not of one TK: were database rows mixed?"));
    }
    Ok(tk)
}
