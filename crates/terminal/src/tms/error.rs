//! Why an update did not come to its end.

use std::io;

use flows::{tms_download, tms_session};

use crate::Error;
use crate::area::AreaError;
use crate::conversation::FlowError;

/// Why an update, or loading a key, did not come to its end. What runs goes on running, what came of a package is kept,
/// and the next try goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TmsError {
    /// A TMS knows terminals by vendor and model.
    #[error("this terminal has no vendor and model, by which a TMS knows it: make it anew with both")]
    NoModel,
    /// No connection.
    #[error("no connection to the TMS: {0}")]
    Connect(#[source] io::Error),
    /// The session did not open.
    #[error(transparent)]
    Session(#[from] FlowError<tms_session::Reason>),
    /// The sealed phase ended.
    #[error(transparent)]
    Download(#[from] FlowError<tms_download::Reason>),
    /// The TMS has no time for this terminal.
    #[error("the TMS is busy: try again later; what came is kept")]
    Busy,
    /// The TMS always has more.
    #[error("the TMS brought no end in {MAX_ROUNDS} plans: have its deployments looked at", MAX_ROUNDS = super::update::MAX_ROUNDS)]
    TooManyPlans,
    /// The disk does not do its part.
    #[error(transparent)]
    Areas(#[from] AreaError),
    /// The terminal's own state does not.
    #[error(transparent)]
    Terminal(#[from] Error),
    /// The line was cut on purpose.
    #[error("the line was cut after {frames} frames; what came is kept")]
    Cut {
        /// Frames that had gone by.
        frames: u64,
    },
}
