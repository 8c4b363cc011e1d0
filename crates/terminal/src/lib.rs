//! The terminal: PIN pad, software PIN pad, device state, links.
//!
//! A [`Terminal`] is a device, a PIN pad and a clock. [`collect::serve`] lets a station collect its TK, [`download()`]
//! fetches a TMK into a slot; both drive the pure roles of `flows` over blocking streams, which is what a terminal's
//! firmware does. A simulator calls [`collect::answer`] and [`download()`] in one process, with
//! [`Terminal::in_memory`].
//!
//! Clear keys exist in one place: behind [`PinPad`], here [`SoftPad`]. What it gives out of a key is its check value.
//! Every change is sealed and stored before the message that depends on it leaves ([`storage`]).

pub mod collect;
pub mod storage;
#[cfg(feature = "tls")]
pub mod tls;

mod clock;
mod device;
mod download;
mod error;
#[cfg(test)]
mod fuzz;
mod life_cycle;
mod link;
mod pad;
mod softpad;
mod status;
mod terminal;
#[cfg(test)]
mod testing;
mod vault;

pub use clock::{Clock, FixedClock, SystemClock};
pub use device::{NewTerminal, Settings, TrustedRoot};
pub use download::{CutAfter, DownloadError, Downloaded, Step, download, download_over};
pub use error::Error;
pub use life_cycle::{LifeCycle, Milestone};
pub use link::{Link, LinkError, LinkLimits, Stream, connect};
pub use pad::{AcceptedKey, Collector, Latch, PinPad, SlotStatus};
pub use softpad::SoftPad;
pub use status::{CollectedStatus, SlotReport, Status};
pub use terminal::Terminal;
