//! Terminal management (1-systems.md E): sessions with terminals, what they get, and how deployments go on.
//!
//! [`plan`], [`progress`] and [`results`] are pure. [`publish`](fn@publish) is what the command line calls; the rest serves terminals.

mod deployments;
mod ec_aes;
mod end;
mod estate;
mod handshake;
mod key;
pub mod manifest;
mod opening;
mod party;
pub mod plan;
pub mod progress;
mod publish;
mod reports;
pub mod repository;
mod requests;
pub mod results;
mod sealed;
pub mod status;
mod suite;
mod tdes;

use tokio::sync::Semaphore;

pub use manifest::{Approval, Manifest, ManifestError};
pub use publish::{PublishError, Published, Whose, publish};

use crate::config;

/// What all sessions share.
pub(crate) struct Tms {
    /// Nothing where the configuration has no `[tms]`: then the flow is not served.
    settings: Option<config::Tms>,
    estate: estate::Estate,
    /// Answers being sealed: each holds a frame's worth of memory several times.
    seals: Semaphore,
}

impl Tms {
    pub(crate) fn new(settings: Option<config::Tms>) -> Self {
        let at_once = settings.as_ref().map_or(1, |settings| settings.answers_at_once);
        Self { settings, estate: estate::Estate::new(at_once), seals: Semaphore::new(at_once) }
    }

    /// Whether terminals are served here.
    pub(crate) fn serves(&self) -> bool {
        self.settings.is_some()
    }
}
