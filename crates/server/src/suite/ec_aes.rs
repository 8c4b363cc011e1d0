//! Suite 02: KEY_CONFIRM and DONE are receipts under keys of the run, which the HSM has.

use flows::{
    EcAes, LoadingReason, Told,
    suite::{Ephemeral, Hole, Receipt},
};
use hsm::{
    Hsm, HsmError,
    commands::{Acknowledge, Hole as HsmHole, Peer},
};
use store::SlotRecord;

use super::{Holder, LoadingSuite};

impl LoadingSuite for EcAes {
    fn next_counter(slot: &SlotRecord) -> Option<u64> {
        // One that does not count on is refused by the store, which takes only a higher one.
        Some(slot.load_counter.saturating_add(1))
    }

    async fn acknowledge<H: Hsm, R: LoadingReason>(
        hsm: &H,
        ticket: &[u8],
        told: &Told<R, Self>,
        holder: Holder<'_>,
    ) -> Result<Option<Receipt>, HsmError> {
        let command = Acknowledge {
            ticket: ticket.to_vec(),
            said_before_confirm: told.said_before().bytes().to_vec(),
            said_before_done: told.said().bytes().to_vec(),
            receipt: told.told().0,
            pin_pad: holder.pin_pad.to_owned(),
            owner: holder.owner.to_owned(),
        };
        match hsm.call(command).await {
            Ok(done) => Ok(Some(Receipt(done))),
            Err(HsmError::Refused(refusal)) if refusal.is_not_proven() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// DF13 and DF14 of a peer's first message, for the HSM.
pub(crate) fn peer(ephemeral: &Ephemeral) -> Peer {
    Peer { point: ephemeral.point.to_vec(), nonce: ephemeral.nonce }
}

/// The message in which the HSM makes DF13 and DF14.
pub(crate) fn hole(hole: Hole) -> HsmHole {
    HsmHole { before: hole.before, after: hole.after }
}

/// What the HSM made there.
pub(crate) fn made(point: &[u8], nonce: [u8; 32], command: &'static str) -> Result<Ephemeral, HsmError> {
    Ephemeral::from_parts(point, nonce).ok_or(HsmError::WrongReply(command))
}
