//! Suite 02 of flows A, B, C, E and F (3-hardened.md): the suite plays the terminal with the frames of the wire.

mod collect;
mod download;
pub(super) mod exchange;
mod local_load;
mod peer;
pub(super) mod pins;
mod rks_load;
mod sign_in;
mod tms;

pub(super) use collect::collected;

use super::ExchangeAes;
use crate::Hsm;

pub(super) async fn run(hsm: &impl Hsm, exchange: &ExchangeAes) {
    collect::run(hsm).await;
    download::run(hsm).await;
    exchange::run(hsm, exchange).await;
    local_load::run(hsm, exchange).await;
    rks_load::run(hsm, exchange).await;
    tms::run(hsm, exchange).await;
    sign_in::run(hsm, exchange).await;
}
