//! Flow E, the sealed phase: inventory, plan, packages and report (1-systems.md E, steps 5–7; 2-wire.md section 7).
//!
//! ```text
//! PIN pad        terminal                              TMS                        HSM, store, repository
//!    | <--seal------ |                                  |                           |
//!    |               | ==TMS_INVENTORY: installed=====> | --open, plan------------> |
//!    | <--open------ | <==TMS_PLAN: what may be loaded= | <--seal------------------ |
//!    |               | ==TMS_GET: offset, length======> |                           |
//!    |               | <==TMS_DATA: the bytes========== |   ... to the end, in as many sessions as it takes
//!    |               | ==TMS_REPORT: how it went======> | --note------------------> |
//!    |               | <==DONE========================= |                           |
//! ```
//!
//! A double line is a SEALED frame. Sealing is the PIN pad's and the HSM's; here are the frames around it
//! ([`sealed`]), the messages inside ([`messages`]), the count of numbers and blocks that a TMS keeps ([`Counters`]),
//! what a TMS takes ([`tms`]) and the pure driver of one file at the terminal ([`terminal`]). A terminal may ask in any
//! order, so after a cut it goes on with TMS_GET at the byte that it holds.
//!
//! # Threats answered
//!
//! - *Reading and changing on the line*: encrypted under the session's keys, with a tag that is checked first; in suite
//!   02 a key for each direction.
//! - *Replay, reordering, reflection*: the tag is over direction and number; each number is expected once, and any
//!   failure ends the session (0006 at the TMS, 0005 at the terminal).
//! - *A forged ERROR*: in clear it only closes the connection, as cutting the line does.
//! - *Too much under one key*: [`Counters`] refuses what goes past 2^20 blocks of 8 bytes in suite 01 and 2^34 of 16 in
//!   suite 02 (000B), and [`Fetch`] asks for a new session before. [`SealSuite`] says what a suite's seal is like.
//! - *Other bytes than asked for*: [`Fetch`] compares name, version, offset and length (0002). That the bytes are the
//!   vendor's is shown by size, SHA-256 and signature of the whole file, which the terminal's driver checks.
//! - *A huge or endless answer*: TMS_DATA holds at most 32 768 bytes, a status 4 096, and a plan what fits into one
//!   message ([`Plan::fitting`]).

mod ec_aes;
mod error;
pub mod messages;
pub mod sealed;
mod suite;
mod tdes;
pub mod terminal;
pub mod tms;

pub use error::Reason;
pub use messages::{Data, Done, Get, Inventory, Plan, Report};
pub use sealed::{Counters, Exhausted, INNER_MAX, MAX_SEALED_BLOCKS};
pub use suite::SealSuite;
pub use terminal::{Fetch, Next, length_for};
pub use tms::Request;

/// The end of the sealed phase on one side.
pub type Fault = crate::Fault<Reason>;

#[cfg(test)]
mod tests;
