//! The vendor's MTMS: hands the transport keys that were collected for a production order to the KMS of the acquirer that
//! bought it, once, and keeps its receipts (`docs/spec/1-systems.md` D; `docs/spec/2-wire.md` section 6).
//!
//! ```text
//! undelivered TKs of an order ─► HSM: from the vendor's key to PK ─► batch, MAC, signature ─► store ─► the buyer's KMS
//!                                                                                              ▲            │
//!                                                              report ◄─ results ◄─ receipt, checked ◄──────┘
//! ```
//!
//! A batch is in the store before it leaves, and the store lets each TK into one batch only. So whatever breaks, dispatching
//! again sends what was not answered byte for byte, which the KMS takes once, and goes on with the rest. A receipt is
//! believed when it is for that very batch, names its terminals, and the HSM finds MAK's MAC on it.
//!
//! Nothing here ever holds a clear key: TKs move from one key to the other inside the HSM.

mod card;
mod clock;
mod dispatch;
mod error;
mod pack;
mod partner;
mod progress;
mod receipt;
mod refused;
mod report;

use std::sync::Arc;

use store::{OrderStore, SerialHistory};
use wire::Serial;

pub use card::SigningCard;
pub use dispatch::{DispatchSettings, Dispatched, MAX_BATCH, RefusedTerminal};
pub use error::Error;
pub use pack::HeldBack;
pub use partner::{Kms, Partner};
pub use progress::{Bar, Progress, Quiet};
pub use refused::RefusedBatch;
pub use report::{RefusedItem, Report, SENT_BEFORE};

/// An MTMS at its database and its HSM.
pub struct Mtms<S, H> {
    store: Arc<S>,
    hsm: H,
    vendor: String,
}

impl<S, H> Mtms<S, H> {
    /// The MTMS of this vendor, who owns its keys.
    pub fn new(store: Arc<S>, hsm: H, vendor: impl Into<String>) -> Self {
        Self { store, hsm, vendor: vendor.into() }
    }
}

impl<S: OrderStore, H> Mtms<S, H> {
    /// What a serial went through: orders, collections, replacements, batches.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn history(&self, sn: &Serial) -> Result<SerialHistory, Error> {
        Ok(self.store.serial_history(sn).await?)
    }
}
