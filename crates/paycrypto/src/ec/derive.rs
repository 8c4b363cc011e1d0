//! DIK2 of this suite.

use super::hkdf::Prk;
use super::keys::{Dik1, Dik2};
use crate::Error;

/// Longest diversification factor in bytes (2-wire.md section 2, DF23).
pub const MAX_FACTOR: usize = 32;
/// Longest serial in characters (2-wire.md section 2, DF02).
const MAX_DSN: usize = 32;

/// What says that a DIK2 is derived.
const LABEL: &[u8] = b"KF2 dik2";

/// `HKDF-Expand(DIK1, "KF2 dik2" ‖ len(DSN) (1) ‖ DSN ‖ len(factor) (1) ‖ factor, 32)` (3-hardened.md, flow C).
///
/// # Errors
/// [`Error::Diversification`] unless DSN and factor have 1 to 32 bytes each.
pub fn derive_dik2(dik1: &Dik1, dsn: &str, factor: &[u8]) -> Result<Dik2, Error> {
    let dsn_length = length(dsn.len(), MAX_DSN)?;
    let factor_length = length(factor.len(), MAX_FACTOR)?;
    let info: [&[u8]; 5] = [LABEL, &[dsn_length], dsn.as_bytes(), &[factor_length], factor];
    Ok(Dik2::from_bytes(&Prk::of(dik1.expose()).expand(&info)))
}

fn length(found: usize, max: usize) -> Result<u8, Error> {
    if !(1..=max).contains(&found) {
        return Err(Error::Diversification);
    }
    u8::try_from(found).map_err(|_| Error::Diversification)
}
