//! Deriving DIK2 from DIK1 (1-systems.md, system C).

use zeroize::Zeroizing;

use crate::keys::Dik2;
use crate::{Error, TdesKey, digest};

/// Bytes of a SHA-256 value that the derivation uses.
const DATA: usize = 24;

/// `DATA1 = SHA-256(DSN)[0..24]; KEY1 = TDES-ECB-encrypt(DIK1, DATA1); DATA2 = SHA-256(factor)[0..24];
/// DIK2 = TDES-ECB-decrypt(KEY1, DATA2)`. DIK2's parity is as it comes out.
///
/// # Errors
/// [`Error::Poor`] when DIK1, KEY1 or DIK2 has weak or equal parts (R6 of 4-requirements.md: also when
/// derived): then another factor is needed.
pub fn derive_dik2(dik1: &TdesKey, dsn: &str, factor: &[u8]) -> Result<Dik2, Error> {
    dik1.refuse_poor()?;
    let key1 = Zeroizing::new(dik1.encrypt_ecb(&data(dsn.as_bytes()))?);
    let key1 = TdesKey::from_bytes_strict(&key1)?;
    let dik2 = TdesKey::from_bytes(&key1.decrypt_ecb(&data(factor))?)?;
    Dik2::from_key(dik2)
}

fn data(input: &[u8]) -> [u8; DATA] {
    let hash = digest::sha256(input);
    std::array::from_fn(|index| hash.get(index).copied().unwrap_or_default())
}
