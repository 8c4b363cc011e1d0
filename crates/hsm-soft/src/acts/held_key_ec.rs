//! Keys of suite 02 under the LMK: loaded for one place, or made. Each type has its one purpose.

use hsm::{KeyBlock, Refusal};
use paycrypto::{
    Error,
    ec::keys::{Dmk, Mak, Pik, Tdk, Tmk},
};

use crate::{SoftHsm, lmk::Binding, purpose::Purpose};

/// How often a key is made again because its check value is taken: with 40-bit check values once is rare, a third time
/// means a broken generator.
const MAX_TRIES: usize = 8;

/// A key of suite 02 as it stands under the LMK.
pub(crate) trait HeldEc: Sized {
    /// The one purpose that its blocks have.
    const PURPOSE: Purpose;

    fn generate() -> Result<Self, Error>;

    /// The key of these bytes, if there are as many as it has.
    fn of(clear: &[u8]) -> Option<Self>;

    fn clear(&self) -> &[u8];

    fn check_value(&self) -> [u8; 5];
}

macro_rules! keys {
    ($($key:ident: $purpose:ident;)*) => {$(
        impl HeldEc for $key {
            const PURPOSE: Purpose = Purpose::$purpose;

            fn generate() -> Result<Self, Error> {
                $key::generate()
            }

            fn of(clear: &[u8]) -> Option<Self> {
                clear.try_into().ok().map(Self::from_bytes)
            }

            fn clear(&self) -> &[u8] {
                self.expose()
            }

            fn check_value(&self) -> [u8; 5] {
                self.kcv()
            }
        }
    )*};
}

keys! {
    Tmk: TmkAes;
    Pik: PikAes;
    Mak: MakAes;
    Tdk: TdkAes;
    Dmk: DmkAes;
}

/// A key and its block.
pub(super) struct KeptEc<K> {
    pub(super) key: K,
    pub(super) block: KeyBlock,
}

/// The key in `block` where there is one, a new one where there is none.
pub(super) fn load_or_make<K: HeldEc>(
    hsm: &SoftHsm,
    name: &'static str,
    bound: Binding<'_>,
    block: Option<&KeyBlock>,
    avoid: &[[u8; 5]],
) -> Result<KeptEc<K>, Refusal> {
    match block {
        Some(block) => Ok(KeptEc { key: load(hsm, name, bound, block)?, block: block.clone() }),
        None => make(hsm, bound, avoid),
    }
}

/// The key in `block`, which must be this key of this place. Poor keys are refused where blocks are opened. `name` is for
/// refusals.
pub(super) fn load<K: HeldEc>(
    hsm: &SoftHsm,
    name: &'static str,
    bound: Binding<'_>,
    block: &KeyBlock,
) -> Result<K, Refusal> {
    let opened = hsm.lmk.open(name, block, K::PURPOSE, bound)?;
    K::of(&opened.key).ok_or_else(|| Refusal::WrongUse {
        what: name.into(),
        found: format!("a key of {} bytes", opened.key.len()),
    })
}

/// A new key with a check value that is not taken.
pub(super) fn make<K: HeldEc>(
    hsm: &SoftHsm,
    bound: Binding<'_>,
    avoid: &[[u8; 5]],
) -> Result<KeptEc<K>, Refusal> {
    for _ in 0..MAX_TRIES {
        let key = K::generate().map_err(|e| Refusal::NotMade { why: e.to_string() })?;
        if !avoid.contains(&key.check_value()) {
            let block = hsm.lmk.wrap(K::PURPOSE, bound, key.clear())?;
            return Ok(KeptEc { key, block });
        }
    }
    Err(Refusal::NotMade { why: "check values repeat: the random numbers are not good".into() })
}
