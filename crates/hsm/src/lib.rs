//! The HSM as the servers see it.
//!
//! Every server-side key lives in clear inside the HSM's own process and nowhere else; what the servers hold are
//! [`KeyBlock`]s. This crate has the [`commands`] (whole acts: there is no `decrypt`), the
//! [`protocol`] that carries them over a Unix socket, and its [client](Client). It uses no clear-key code.
//!
//! ```no_run
//! # async fn example() -> Result<(), keyferry_hsm::HsmError> {
//! use keyferry_hsm::{Client, Hsm, commands::Status};
//! let hsm = Client::connect("/run/keyferry/hsm.sock").await?;
//! println!("LMK {}", hsm.call(Status {}).await?.lmk_check);
//! # Ok(()) }
//! ```

mod block;
mod client;
pub mod commands;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod protocol;
mod refusal;
mod sensitive;

use std::future::Future;

pub use block::KeyBlock;
pub use client::Client;
pub use commands::Command;
pub use refusal::{HsmError, Refusal};
pub use sensitive::Sensitive;

/// Anything that carries out HSM [`commands`]: the software HSM over its socket now, a hardware one later.
pub trait Hsm: Send + Sync + 'static {
    /// Carries out one command.
    ///
    /// Commands are independent of each other and may be in flight at once; they finish in any order.
    ///
    /// # Errors
    /// [`HsmError::Refused`] when the HSM will not do it, with its reason; anything else when it could not be asked.
    fn call<C: Command>(&self, command: C) -> impl Future<Output = Result<C::Reply, HsmError>> + Send;
}

impl<H: Hsm> Hsm for std::sync::Arc<H> {
    fn call<C: Command>(&self, command: C) -> impl Future<Output = Result<C::Reply, HsmError>> + Send {
        (**self).call(command)
    }
}
