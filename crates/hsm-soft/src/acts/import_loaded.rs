use hsm::{
    Refusal,
    commands::{Held, HeldKey, ImportLoaded, Imported},
};
use paycrypto::digest;

use super::exchange::{self, Exchange, Travels};
use crate::{SoftHsm, lmk::Binding};

pub(crate) fn import_loaded(hsm: &SoftHsm, command: &ImportLoaded) -> Result<Imported, Refusal> {
    let place = exchange::place_of(command.what, &command.pin_pad)?;
    let under = Exchange::open(hsm, &command.under, &command.owner)?;
    let key = under.unwrap(&Travels::held(command.what, &place), &command.block)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    let keep = || hsm.lmk.wrap(exchange::purpose_of(command.what), bound, &key);
    match command.what {
        Held::Tmk { .. } | Held::Dmk => {
            let kcv = exchange::check_triple(&key)?;
            Ok(Imported::Key(HeldKey { block: keep()?, kcv }))
        }
        Held::Factor => {
            exchange::check_factor(&key)?;
            Ok(Imported::Factor { block: keep()?, digest: digest::sha256(&key) })
        }
    }
}
