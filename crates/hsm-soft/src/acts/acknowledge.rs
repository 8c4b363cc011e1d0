//! Receipts of suite 02: the terminal's for what it loaded, and the server's for that receipt.

use hsm::{
    Refusal,
    commands::{Acknowledge, MAX_TRANSCRIPT},
};

use super::{context::check_frames, ephemeral::th};
use crate::SoftHsm;

/// DF17 and its length.
const RECEIPT_FIELD: [u8; 3] = [0xDF, 0x17, 0x20];

pub(crate) fn acknowledge(hsm: &SoftHsm, command: &Acknowledge) -> Result<[u8; 32], Refusal> {
    check_frames(&command.said_before_confirm, MAX_TRANSCRIPT)?;
    check_frames(&command.said_before_done, MAX_TRANSCRIPT)?;
    let field = [RECEIPT_FIELD.as_slice(), &command.receipt].concat();
    let confirm = command.said_before_done.strip_prefix(command.said_before_confirm.as_slice());
    if !confirm.is_some_and(|confirm| confirm.windows(field.len()).any(|window| window == field)) {
        let what = "KEY_CONFIRM with its DF17 stands behind what was said before it";
        return Err(Refusal::Malformed { what: what.into() });
    }
    let released = hsm.ec_tickets.open_released(&command.pin_pad, &command.owner, &command.ticket)?;
    let (schedule, keys) = (&released.schedule, &released.keys);
    let before_confirm = th(schedule.letter(), &[&command.said_before_confirm]);
    if !schedule.receipt_terminal().acknowledges(&before_confirm, keys, &command.receipt) {
        return Err(Refusal::NotProven);
    }
    let before_done = th(schedule.letter(), &[&command.said_before_done]);
    Ok(schedule.receipt_server().receipt(&before_done, keys))
}
