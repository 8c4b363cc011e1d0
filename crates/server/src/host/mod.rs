//! The acquirer's host side (1-systems.md F): sign-in, PIN translation and MACs for POSPs, zone keys, and which terminal
//! is known to a POSP by which name.
//!
//! No PIN, PAN or message to be authenticated is kept, logged or audited here: they go from the POSP's request into one
//! HSM command.

mod carried;
mod ec_aes;
pub mod identity;
mod items;
mod macs;
mod pins;
mod policy;
mod recent;
pub(crate) mod refusal;
pub(crate) mod settings;
mod sign_in;
mod suite;
mod tdes;
mod terminal_names;
mod uses;
mod working_keys;
mod wrong_blocks;
pub mod zone;

use std::time::Duration;

use hsm::Hsm;
use store::{Store, limits};
use tokio::sync::watch;

use crate::kms::Kms;

pub(crate) use items::{TerminalName, Whose};
pub(crate) use macs::{MacRequest, MacResult};
pub(crate) use pins::PinRequest;

/// How often counted uses go to the store: what a crash loses is at most that.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// What all of it shares.
pub(crate) struct Host {
    settings: settings::Host,
    uses: uses::Uses,
    wrong_blocks: wrong_blocks::WrongBlocks,
    names: terminal_names::TerminalNames,
    recent: recent::Recent,
    carried: carried::Carried,
}

impl Host {
    pub(crate) fn new(settings: settings::Host) -> Self {
        let (uses, names) = (uses::Uses::default(), terminal_names::TerminalNames::default());
        let (wrong_blocks, recent) = (wrong_blocks::WrongBlocks::default(), recent::Recent::default());
        let carried = carried::Carried::default();
        Self { settings, uses, wrong_blocks, names, recent, carried }
    }
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Brings counted uses to the store each second, and once more when the server stops.
    pub(crate) async fn flush_uses(&self, mut stop: watch::Receiver<bool>) {
        let mut every = tokio::time::interval(FLUSH_EVERY);
        loop {
            tokio::select! {
                _ = every.tick() => self.flush_uses_now().await,
                () = crate::stopped(&mut stop) => return,
            }
        }
    }

    /// Brings what was counted to the store. What cannot be written now is counted still.
    pub(crate) async fn flush_uses_now(&self) {
        let counted = self.host.uses.take();
        for part in counted.chunks(limits::USES) {
            if let Err(error) = self.store.count_uses(part.to_vec()).await {
                tracing::error!(%error, "uses of working keys could not be written; they are counted still");
                self.host.uses.put_back(part);
            }
        }
    }
}
