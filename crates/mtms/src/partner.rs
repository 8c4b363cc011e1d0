//! An acquirer that buys, as its KMS is reached.

use std::sync::Arc;

use hsm::KeyBlock;
use station::{BatchAnswer, Server};
use wire::Suite;

use crate::Error;

/// A KMS as an MTMS sees it: where batches go.
pub trait Kms: Send + Sync + 'static {
    /// Sends a signed batch; sending the same bytes again is safe. Blocks.
    ///
    /// # Errors
    /// [`Error::Kms`] when nobody knows whether it came.
    fn send(&self, package: &[u8]) -> Result<BatchAnswer, Error>;
}

impl Kms for Server {
    fn send(&self, package: &[u8]) -> Result<BatchAnswer, Error> {
        Ok(self.send_batch(package)?)
    }
}

/// An acquirer with the keys that were agreed with it. PK and MAK name it in their blocks: the HSM refuses one partner's
/// keys for another.
#[derive(Clone)]
pub struct Partner {
    /// What orders call it: the buyer.
    pub name: String,
    /// PK: its blocks open in that KMS's HSM only.
    pub pk: KeyBlock,
    /// MAK: batches and receipts are under it.
    pub mak: KeyBlock,
    /// In which suite the two keys are: 01 TDES, 02 AES. Neither carries the other's transport keys (R7).
    pub suite: Suite,
    /// Its KMS.
    pub kms: Arc<dyn Kms>,
}
