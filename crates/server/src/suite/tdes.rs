//! Suite 01: KEY_CONFIRM tells check values, which are no secret of the HSM's.

use flows::{
    LoadingReason, Tdes, Told,
    suite::{Compared, Suite},
};
use hsm::{Hsm, HsmError};
use store::SlotRecord;

use super::{Holder, LoadingSuite};

impl LoadingSuite for Tdes {
    fn next_counter(_: &SlotRecord) -> Option<u64> {
        None
    }

    async fn acknowledge<H: Hsm, R: LoadingReason>(
        _: &H,
        _: &[u8],
        told: &Told<R, Self>,
        _: Holder<'_>,
    ) -> Result<Option<<Self as Suite>::Done>, HsmError> {
        Ok(Compared::new(told.told(), told.sent()))
    }
}
