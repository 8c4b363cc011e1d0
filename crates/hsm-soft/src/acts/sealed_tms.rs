//! Sealed messages of flow E, both directions (2-wire.md section 7).

use hsm::{
    Refusal,
    commands::{MAX_SEALED_PAYLOAD, OpenTms, SealTms},
};
use paycrypto::seal::{self, Direction};

use crate::SoftHsm;

// What the command takes is what can be sealed.
const _: () = assert!(MAX_SEALED_PAYLOAD == seal::INNER_MAX);

pub(crate) fn seal_tms(hsm: &SoftHsm, command: &SealTms) -> Result<Vec<u8>, Refusal> {
    if command.payload.len() > MAX_SEALED_PAYLOAD {
        let what = format!("a sealed payload has at most {MAX_SEALED_PAYLOAD} bytes");
        return Err(Refusal::Malformed { what });
    }
    let session = hsm.tms_tickets.session(&command.session, &command.pin_pad, &command.owner)?;
    seal::seal(&session.key, &session.dwk, Direction::FromTms, command.counter, &command.payload)
        .map_err(|e| Refusal::NotMade { why: e.to_string() })
}

pub(crate) fn open_tms(hsm: &SoftHsm, command: &OpenTms) -> Result<Vec<u8>, Refusal> {
    let session = hsm.tms_tickets.session(&command.session, &command.pin_pad, &command.owner)?;
    let (key, dwk) = (&session.key, &session.dwk);
    seal::open(key, dwk, Direction::FromTerminal, command.counter, &command.sealed)
        .map(|inner| inner.to_vec())
        .map_err(|_| Refusal::NotProven)
}
