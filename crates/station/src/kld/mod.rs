//! The key loading device (KLD): loads TMK, DMK and DIK2 into terminals by cable, under both cards, with keys that are in
//! its own HSM process (`docs/spec/1-systems.md` B; `docs/spec/2-wire.md` section 4, flow B).
//!
//! ```text
//! BothCards ──► Kld::open_run() ─► Run ─► Kld::load() ─► a Link over TCP or a serial line ─► terminal
//!                                   │         │
//!                  journal, a line ◄┘         └─► KldHsm: LoadTerminal, the whole act
//!                  for each event
//!                                   └─► Kld::close_run() ─► report, signed by the operator card ─► the KMS
//! ```
//!
//! | file | what |
//! |---|---|
//! | `device.rs`, `state.rs` | the KLD's folder, key pair, certificate |
//! | `import.rs` | keys that it is given |
//! | `what.rs`, `list.rs` | what a run loads, and into which terminals |
//! | `run.rs`, `event.rs`, `journal.rs` | runs, and the journal that a crash does not lose |
//! | `load.rs`, `fault.rs` | one terminal |
//! | `suite.rs`, `tdes.rs`, `ec_aes.rs` | what differs from suite to suite |
//! | `report.rs` | what the KMS imports |
//!
//! A serial is served from the moment that a key leaves for it, and the journal says so before. In suite 02 the KLD answers
//! a device certificate and its signature alone. In suite 01 it cannot tell a true terminal from a false one: so a second terminal with that serial stops the run and marks its keys as compromised, even
//! when the cable only broke and the same terminal came again. Such a terminal goes into another run.

mod device;
mod ec_aes;
mod error;
mod event;
mod fault;
mod hsm_line;
mod import;
mod journal;
pub mod list;
mod load;
mod report;
mod run;
mod state;
mod suite;
mod tdes;
mod what;

pub use device::Kld;
pub use error::KldError;
pub use event::KeyState;
pub use fault::LoadFault;
pub use hsm_line::KldHsm;
pub use import::{Combined, Place};
pub use list::Listed;
pub use load::{LoadFailure, LoadedTerminal};
pub use report::{ReportDelivery, ReportFile, ReportResult};
pub use run::{Run, RunStatus};
pub use what::What;
