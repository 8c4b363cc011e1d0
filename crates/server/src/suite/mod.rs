//! What the server's drivers of all flows need of a suite. A driver is written once; one look at DF01 of the first
//! message picks the type, and from then on a suite is a type. What a flow asks the HSM in one suite is in a file of that
//! suite's name beside the flow's driver.

pub(crate) mod ec_aes;
mod tdes;

pub(crate) use flows::suite::asked;
use flows::{LoadingReason, Suite, Told};
use hsm::{Hsm, HsmError};
use store::SlotRecord;

/// Who was given keys.
pub(crate) struct Holder<'a> {
    /// The PIN pad, the one of the release.
    pub(crate) pin_pad: &'a str,
    /// The acquirer, the one of the release.
    pub(crate) owner: &'a str,
}

/// A suite in which a server gives keys.
pub(crate) trait LoadingSuite: Suite {
    /// The load counter of the next TMK that is sent for this slot, in a suite whose TMKs have one.
    fn next_counter(slot: &SlotRecord) -> Option<u64>;

    /// Checks KEY_CONFIRM: nothing when it is wrong, else what DONE holds. `ticket` is that of the release, empty in a
    /// suite whose KEY_CONFIRM this side compares itself.
    fn acknowledge<H: Hsm, R: LoadingReason>(
        hsm: &H,
        ticket: &[u8],
        told: &Told<R, Self>,
        holder: Holder<'_>,
    ) -> impl Future<Output = Result<Option<Self::Done>, HsmError>> + Send;
}
