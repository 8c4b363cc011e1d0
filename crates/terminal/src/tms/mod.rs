//! The client of a TMS: drives the terminal's roles of flow E over a link, session by session.
//!
//! ```text
//! connect ─► handshake ─► inventory ─► plan ─► file after file into `incoming` ─► next area ─► start ─► report
//!               ▲                                  │ the session key has done enough, or the TMS is done with us
//!               └──────────────────────────────────┘ the same offset in a new session
//! ```
//!
//! Whatever ends it in between (a cut line, a full disk, the power), what runs goes on running, what came stays, and the
//! next [`update`] goes on from there. A package that is refused is refused by name, and the others are installed.

mod error;
mod fetch;
mod line;
mod report;
mod session;
#[cfg(test)]
mod tests;
mod update;

use flows::tms_session::OperatorPassword;
use wire::{Kcv, PackageId, Slot};

use crate::area::{FailedStart, StartHook};
use crate::package::PackageRefusal;

pub use error::TmsError;
pub use session::load_key;
pub use update::update;

/// What an update may be told. By default nobody works at the terminal, nobody looks, and every area starts.
#[derive(Default)]
pub struct UpdateOptions<'a> {
    /// Who works at the terminal, where the acquirer demands that.
    pub operator: Option<OperatorPassword<'a>>,
    /// Hears how it goes.
    pub progress: Option<&'a mut dyn FnMut(Progress<'_>)>,
    /// Starts a new area; see [`Areas::start`](crate::area::Areas::start).
    pub start: Option<&'a mut StartHook<'a>>,
    /// Cuts the line after so many frames, both directions counted, to show and to test that nothing is lost.
    pub cut_after: Option<u64>,
}

impl std::fmt::Debug for UpdateOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpdateOptions").field("operator", &self.operator).finish_non_exhaustive()
    }
}

/// How an update goes.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A session is open; the first has number 1.
    Session {
        /// Its number.
        number: u64,
    },
    /// The TMS has said what to load.
    Planned {
        /// Packages that will be loaded.
        packages: usize,
        /// Bytes of them that are not here yet.
        bytes: u64,
    },
    /// A part of a package is here.
    Received {
        /// The package.
        package: &'a PackageId,
        /// Bytes that are here.
        have: u64,
        /// Bytes that it has.
        size: u64,
    },
    /// A package is refused.
    Refused {
        /// The package.
        package: &'a PackageId,
        /// Why.
        why: &'a PackageRefusal,
    },
    /// The next area is complete and about to be started.
    Starting {
        /// What is new in it.
        packages: &'a [PackageId],
    },
}

/// What an update did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Updated {
    /// What is new and runs.
    pub installed: Vec<PackageId>,
    /// What is not installed, and why; the TMS was told.
    pub refused: Vec<(PackageId, PackageRefusal)>,
    /// The first start that failed, if one did: the area before runs again.
    pub returned: Option<FailedStart>,
    /// Bytes of content that came.
    pub bytes: u64,
    /// Sessions that it took.
    pub sessions: u64,
}

/// A TMK that a TMS brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadedKey {
    /// Where it is.
    pub slot: Slot,
    /// Its check value, which the TMS shows too.
    pub kcv: Kcv,
}
