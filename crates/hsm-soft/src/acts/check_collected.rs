use hsm::{Refusal, commands::CheckCollected};

use super::transport_key;
use crate::SoftHsm;

pub(crate) fn check_collected(hsm: &SoftHsm, command: &CheckCollected) -> Result<(), Refusal> {
    transport_key::open_ciphertext(hsm, &command.work_key, &command.ctk_pu, &command.owner).map(drop)
}
