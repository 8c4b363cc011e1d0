//! MACs of batches and of receipts.

use hsm::{
    KeyBlock, Refusal,
    commands::{BatchText, CheckBatchMac, MAX_BATCH_TEXT, MacBatch},
};
use paycrypto::mac;

use super::partner::BatchMak;
use crate::SoftHsm;

/// Before a receipt's text, so that no batch's MAC is a receipt's.
const RECEIPT: &[u8] = b"KF receipt";

pub(crate) fn mac_batch(hsm: &SoftHsm, command: &MacBatch) -> Result<Vec<u8>, Refusal> {
    made(hsm, &command.mak, (&command.partner, &command.owner), command.what, &command.text)
}

pub(crate) fn check_batch_mac(hsm: &SoftHsm, command: &CheckBatchMac) -> Result<(), Refusal> {
    let wanted = made(hsm, &command.mak, (&command.partner, &command.owner), command.what, &command.text)?;
    if mac::matches(&wanted, &command.mac) { Ok(()) } else { Err(Refusal::BatchMac) }
}

fn made(
    hsm: &SoftHsm,
    mak: &KeyBlock,
    (partner, owner): (&str, &str),
    what: BatchText,
    text: &[u8],
) -> Result<Vec<u8>, Refusal> {
    let malformed = |what: String| Err(Refusal::Malformed { what });
    if text.len() > MAX_BATCH_TEXT {
        return malformed(format!("a text of {} bytes; the most is {MAX_BATCH_TEXT}", text.len()));
    }
    // A batch's text that began with the prefix would be a receipt's.
    if !text.starts_with(b"{") {
        return malformed("a text that is no JSON object: it begins with {".into());
    }
    let mak = BatchMak::open(hsm, mak, partner, owner)?;
    Ok(match what {
        BatchText::Batch => mak.mac(text),
        BatchText::Receipt => mak.mac(&[RECEIPT, text].concat()),
    })
}
