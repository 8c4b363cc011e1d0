//! Terminals' keys under the LMK: loaded for one place, or made.

use hsm::{KeyBlock, Refusal};
use paycrypto::{TdesKey, blocks::BlockKey};

use crate::{SoftHsm, lmk::Binding, purpose::Purpose};

/// How often a key is made again because its check value is taken: with 24-bit check values and a handful of keys a
/// second time is rare, a third means a broken generator.
const MAX_TRIES: usize = 8;

/// The length of a key that is made.
#[derive(Clone, Copy)]
pub(super) enum Length {
    /// 16 bytes.
    Double,
    /// 24 bytes.
    Triple,
}

/// Which key, and where it belongs.
#[derive(Clone, Copy)]
pub(super) struct Which<'a> {
    /// For refusals.
    pub(super) name: &'static str,
    pub(super) purpose: Purpose,
    pub(super) bound: Binding<'a>,
}

/// A key and its block.
pub(super) struct Kept<K> {
    pub(super) key: K,
    pub(super) block: KeyBlock,
}

/// The key in `block` where there is one, a new one where there is none.
pub(super) fn load_or_make<K: BlockKey>(
    hsm: &SoftHsm,
    which: Which<'_>,
    block: Option<&KeyBlock>,
    length: Length,
    avoid: &[[u8; 3]],
) -> Result<Kept<K>, Refusal> {
    match block {
        Some(block) => Ok(Kept { key: load(hsm, which, block)?, block: block.clone() }),
        None => make(hsm, which, length, avoid),
    }
}

/// The key in `block`, which must be this key of this place. Poor keys are refused, however they came here.
pub(super) fn load<K: BlockKey>(hsm: &SoftHsm, which: Which<'_>, block: &KeyBlock) -> Result<K, Refusal> {
    let opened = hsm.lmk.open(which.name, block, which.purpose, which.bound)?;
    TdesKey::from_bytes(&opened.key)
        .and_then(K::from_key)
        .map_err(|e| Refusal::WrongUse { what: which.name.into(), found: e.to_string() })
}

fn make<K: BlockKey>(
    hsm: &SoftHsm,
    which: Which<'_>,
    length: Length,
    avoid: &[[u8; 3]],
) -> Result<Kept<K>, Refusal> {
    for _ in 0..MAX_TRIES {
        let key = match length {
            Length::Double => TdesKey::generate16(),
            Length::Triple => TdesKey::generate24(),
        };
        let key = key.and_then(K::from_key).map_err(|e| Refusal::NotMade { why: e.to_string() })?;
        if !avoid.contains(&key.key().kcv()) {
            let block = hsm.lmk.wrap(which.purpose, which.bound, key.key().expose())?;
            return Ok(Kept { key, block });
        }
    }
    Err(Refusal::NotMade { why: "check values repeat: the random numbers are not good".into() })
}
