use hsm::{
    Refusal,
    commands::{OpenCollected, TransportKeyBlocks},
};

use super::transport_key;
use crate::SoftHsm;

pub(crate) fn open_collected(hsm: &SoftHsm, command: &OpenCollected) -> Result<TransportKeyBlocks, Refusal> {
    let tk = transport_key::open_ciphertext(hsm, &command.work_key, &command.ctk_pu, &command.owner)?;
    transport_key::store(hsm, &tk, &command.pin_pad, &command.owner)
}
