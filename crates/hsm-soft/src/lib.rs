//! The software HSM: the one home of clear keys on the servers' side.
//!
//! It runs as its own process ([`serve::Server`], `keyferry hsm`) and carries out the commands of the `hsm` crate,
//! each in one file of `acts`, refusing by default. It gives physical protection to nothing: whoever owns the machine
//! owns the keys while it runs. It keeps them from the rest of the system: other users, the database, the servers'
//! own processes, logs, core dumps, swap.

mod acts;
pub mod agreement;
pub mod backup;
pub mod components;
mod duty;
mod ec_tickets;
mod error;
mod key_pairs;
mod lmk;
mod offline;
#[cfg(test)]
mod policy_tests;
mod process;
mod process_seal;
mod purpose;
#[cfg(test)]
mod requirement_tests;
mod rks_tickets;
mod sealed;
mod self_test;
pub mod serve;
mod shamir;
mod soft_hsm;
mod stack;
mod state;
mod tickets;
mod tms_counters;
mod tms_sessions_ec;
mod tms_tickets;
#[cfg(test)]
mod worked_flows;

pub use duty::{Duty, UnknownDuty};
pub use error::HsmSoftError;
pub use offline::Offline;
pub use process::protect;
pub use sealed::MIN_PASSPHRASE;
pub use soft_hsm::SoftHsm;
pub use state::{create, next_generation};

/// Upper-case hex, as the blocks' texts have it.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}
