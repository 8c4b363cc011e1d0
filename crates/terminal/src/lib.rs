//! The terminal: PIN pad, software PIN pad, device state, links.
//!
//! A [`Terminal`] is a device, a PIN pad, a board with sensors and a clock. [`listen::serve`] lets a station collect its
//! TK or repair it, and a KLD load keys; [`ask_over`] has a server collect it, [`download()`] fetches a TMK from a KMS,
//! [`rks_load`] keys from an RKS, [`sign_in::sign_in`] working keys from the host, [`tms`] packages and a TMK from the TMS.
//! They drive the pure roles of `flows` over blocking streams, which is what a terminal's firmware does. A simulator calls
//! [`collect::answer`] and [`download()`] in one process, with [`Terminal::in_memory`].
//!
//! Between all that, and during it, the PIN pad watches its sensors ([`board`]); where a terminal is in its life, and what
//! it may do there, is a table ([`LifeCycle`]). Why it refused is in a log ([`refusals`]).
//!
//! Clear keys exist in one place: behind [`PinPad`], here [`SoftPad`]. What it gives out of a key is its check value,
//! and what the key makes: PIN blocks, MACs, track cipher ([`transaction`]).
//! Every change is sealed and stored before the message that depends on it leaves ([`storage`]).

pub mod area;
pub mod board;
pub mod collect;
pub mod listen;
pub mod package;
pub mod pty;
pub mod refusals;
pub mod serial;
pub mod sign_in;
pub mod storage;
#[cfg(feature = "tls")]
pub mod tls;
pub mod tms;
pub mod transaction;

mod ask;
mod certificate;
mod clock;
mod conversation;
mod device;
mod download;
mod epochs;
mod error;
#[cfg(test)]
mod fuzz;
mod life_cycle;
mod link;
mod pad;
mod rks;
mod self_test;
mod signer;
mod softpad;
mod status;
mod terminal;
#[cfg(test)]
mod testing;
mod vault;

pub use ask::{AskError, ask_over};
pub use clock::{Clock, FixedClock, SystemClock};
pub use conversation::FlowError;
pub use device::{NewTerminal, Settings, TrustedRoot};
pub use download::{CutAfter, DownloadError, Downloaded, Step, download, download_over};
pub use error::Error;
pub use life_cycle::{LifeCycle, Milestone, Wipe};
pub use link::{Link, LinkError, LinkLimits, Stream, connect};
pub use pad::{
    AcceptedKey, AcceptedPoint, Asked, CheckedKey, Collector, Latch, PinPad, PlaceStatus,
    RepairAuthorisation, RepairKey, SignedCollected, SlotStatus, TkCheck, WorkingStatus,
};
pub use pinblock;
pub use rks::{MAX_RUNS, RksError, RksLoaded, rks_load};
pub use self_test::SelfTest;
pub use signer::CheckedSigner;
pub use softpad::SoftPad;
pub use status::{
    CollectedStatus, PlaceReport, RefusalReport, RefusalsReport, SlotReport, Status, TransportKeyReport,
};
pub use terminal::Terminal;
pub use transaction::TransactionPad;
