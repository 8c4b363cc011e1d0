//! Sealed messages of flow E in suite 02, both directions (3-hardened.md).

use hsm::{
    Refusal,
    commands::{MAX_SEALED_PAYLOAD, OpenTmsEc, SealTmsEc},
};

use crate::SoftHsm;

pub(crate) fn seal_tms_ec(hsm: &SoftHsm, command: &SealTmsEc) -> Result<Vec<u8>, Refusal> {
    if command.payload.len() > MAX_SEALED_PAYLOAD {
        let what = format!("a sealed payload has at most {MAX_SEALED_PAYLOAD} bytes");
        return Err(Refusal::Malformed { what });
    }
    let session = hsm.tms_sessions.open(&command.session, &command.pin_pad, &command.owner)?;
    hsm.tms_sessions.seal(&session, command.counter, &command.payload)
}

pub(crate) fn open_tms_ec(hsm: &SoftHsm, command: &OpenTmsEc) -> Result<Vec<u8>, Refusal> {
    let session = hsm.tms_sessions.open(&command.session, &command.pin_pad, &command.owner)?;
    hsm.tms_sessions.unseal(&session, command.counter, &command.sealed).map(|inner| inner.to_vec())
}
