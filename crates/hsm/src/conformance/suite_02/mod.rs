//! Suite 02 of flows A, B and C (3-hardened.md): the suite plays the terminal with the frames of the wire.

mod collect;
mod download;
pub(super) mod exchange;
mod local_load;
mod peer;
mod rks_load;

use super::ExchangeAes;
use crate::Hsm;

pub(super) async fn run(hsm: &impl Hsm, exchange: &ExchangeAes) {
    collect::run(hsm).await;
    download::run(hsm).await;
    exchange::run(hsm, exchange).await;
    local_load::run(hsm, exchange).await;
    rks_load::run(hsm, exchange).await;
}
