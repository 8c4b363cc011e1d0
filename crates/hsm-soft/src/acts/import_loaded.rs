use hsm::{
    Refusal,
    commands::{Held, HeldKey, HeldKeyEc, ImportLoaded, Imported},
};
use paycrypto::{
    digest,
    ec::keys::{Dmk, Tmk},
};

use super::exchange::{self, Cipher, Exchange, Travels};
use crate::{SoftHsm, lmk::Binding};

pub(crate) fn import_loaded(hsm: &SoftHsm, command: &ImportLoaded) -> Result<Imported, Refusal> {
    let place = exchange::place_of(command.what, &command.pin_pad)?;
    let under = Exchange::open(hsm, &command.under, &command.owner, &Cipher::BOTH)?;
    let key = under.unwrap(&Travels::held(command.what, &place), &command.block)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    let keep = || hsm.lmk.wrap(under.cipher().held(command.what), bound, &key);
    match (command.what, under.cipher()) {
        (Held::Tmk { .. } | Held::Dmk, Cipher::Tdes) => {
            let kcv = exchange::check_triple(&key)?;
            Ok(Imported::Key(HeldKey { block: keep()?, kcv }))
        }
        (Held::Tmk { .. }, Cipher::Aes) => {
            let kcv = exchange::check_aes(&key, Tmk::LENGTH)?;
            Ok(Imported::KeyEc(HeldKeyEc { block: keep()?, kcv }))
        }
        (Held::Dmk, Cipher::Aes) => {
            let kcv = exchange::check_aes(&key, Dmk::LENGTH)?;
            Ok(Imported::KeyEc(HeldKeyEc { block: keep()?, kcv }))
        }
        (Held::Factor, _) => {
            exchange::check_factor(&key)?;
            Ok(Imported::Factor { block: keep()?, digest: digest::sha256(&key) })
        }
    }
}
