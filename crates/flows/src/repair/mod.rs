//! Repair: a vendor's authorisation, for one terminal and one challenge, takes a terminal out of *deployed* or *tampered*
//! (1-systems.md D; 2-wire.md section 3, types 54–56). The terminal listens, the station connects.
//!
//! ```text
//! vendor                  station                            terminal                PIN pad
//!    |                       | --REPAIR_ASK-------------------> |                       |
//!    |                       | <--REPAIR_CHALLENGE: SN--------- | <--challenge--------- |  kept until used
//!    | <--what to sign------ |                                  |                       |
//!    | --authorisation-----> | --REPAIR: expiry, signature----> | --checked-----------> |  wiped, then repair;
//!    |                       | <--DONE------------------------- |                       |  challenge used up
//! ```
//!
//! The vendor may take days: the challenge stays, and every REPAIR_ASK gets the same until it is used. So REPAIR may also
//! come on a later connection ([`terminal::ExpectRepair::resume`]).
//!
//! # Threats answered
//!
//! - *A thief with a station*: the signature is by a key whose certificate has the role repair authorisation (000D, 0005).
//! - *An authorisation for another terminal, or used again*: serials and challenge are in what is signed; the challenge is
//!   used once (0005).
//! - *An authorisation found in a drawer*: its expiry is signed too, and compared with the terminal's known time (0008).
//! - *Keys that a repairer could read*: entering repair wipes every key before DONE leaves.

mod error;
pub mod messages;
pub mod station;
pub mod terminal;

pub use error::Reason;
pub use messages::{CHALLENGE, signed_text};

/// The end of a repair on one side.
pub type Fault = crate::Fault<Reason>;

#[cfg(test)]
mod tests;
