use hsm::{Refusal, commands::ExportHeld};

use super::exchange::{self, Cipher, Exchange, Travels};
use crate::{SoftHsm, lmk::Binding};

pub(crate) fn export_held(hsm: &SoftHsm, command: &ExportHeld) -> Result<String, Refusal> {
    let place = exchange::place_of(command.what, &command.pin_pad)?;
    let under = Exchange::open(hsm, &command.under, &command.owner, &Cipher::BOTH)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    let purpose = under.cipher().held(command.what);
    let opened = hsm.lmk.open("the key to export", &command.key, purpose, bound)?;
    exchange::check_leaving(purpose, &opened.key)?;
    under.wrap(&Travels::held(command.what, &place), &opened.key)
}
