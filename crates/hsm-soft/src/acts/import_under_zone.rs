use hsm::{
    Refusal,
    commands::{Held, HeldKey, ImportUnderZone},
};
use keyblock::{Algorithm, Header, Mode, Usage};

use super::{
    exchange::{self, refused},
    zone_master::ZoneMaster,
};
use crate::{SoftHsm, lmk::Binding, purpose};

pub(crate) fn import_under_zone(hsm: &SoftHsm, command: &ImportUnderZone) -> Result<HeldKey, Refusal> {
    if command.what == Held::Factor {
        return Err(Refusal::Malformed { what: "a TMK or a DMK moves in, no factor".into() });
    }
    let place = exchange::place_of(command.what, &command.pin_pad)?;
    let under = ZoneMaster::open(hsm, &command.under, &command.owner)?;
    let opened = under.unwrap(&command.block, Some(&place))?;
    check_header(command.what, &opened.header)?;
    let kcv = exchange::check_triple(&opened.key)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    let block = hsm.lmk.wrap(exchange::Cipher::Tdes.held(command.what), bound, &opened.key)?;
    Ok(HeldKey { block, kcv })
}

/// What other systems say of a master key: one that wraps keys. Some have no usage for a DMK but ours, some no mode but
/// "no restriction" (`N`); a key that may only decrypt wraps nothing here.
fn check_header(what: Held, header: &Header) -> Result<(), Refusal> {
    let wraps = [Usage::KEY_ENCRYPTION, Usage::KEY_BLOCK_PROTECTION].contains(&header.usage);
    if !(wraps || what == Held::Dmk && header.usage == purpose::DMK) {
        return Err(refused(&"it is another key: its usage is not one of a key that moves in as this"));
    }
    if header.algorithm != Algorithm::TDES {
        return Err(refused(&"its algorithm is not T"));
    }
    if ![Mode::BOTH, Mode::ENCRYPT, Mode::NO_RESTRICTION].contains(&header.mode) {
        return Err(refused(&"its mode of use is none of B, E and N: it must not wrap keys"));
    }
    Ok(())
}
