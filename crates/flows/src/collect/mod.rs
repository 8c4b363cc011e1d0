//! Collecting: a station gets from a terminal its TK under the KMS's public key (1-systems.md A, steps 3–4, and D;
//! 2-wire.md sections 3 and 4).
//!
//! ```text
//! station                              terminal                 PIN pad, life cycle
//!    | --COLLECT: suite, certificate----> |                             |
//!    |                                    | --certificate checked-----> |  production or repair only,
//!    |                                    | <--Ctk_Pu------------------ |  sensors in range, latch
//!    | <--COLLECTED: SN, Ctk_Pu---------- |                             |
//! ```
//!
//! Station, terminal display and KMS then show the same fingerprint of what was collected.
//!
//! # Threats answered
//!
//! - *A foreign public key*: the terminal checks the certificate's chain, dates and role before it makes a TK (000D); a
//!   bare key only where its production settings allow one (000D).
//! - *Making a TK again behind the owner's back*: the latch. A repeated COLLECT with the same certificate
//!   ([`terminal::Ask::digest`]) gets the same bytes, another one 0008.
//! - *Something else in place of Ctk_Pu*: its length is that of the modulus (0002), the KMS opens it at upload, and
//!   people compare fingerprints.
//! - *A station alone*: not this flow's: it works only under two cards.
//!
//! Not answered in suite 01: the PIN pad that made a TK cannot be told from another (3-hardened.md); a clean room and
//! the fingerprint on three displays stand in for it. In suite 02 the device signs COLLECT and COLLECTED, and COLLECT
//! carries a ceremony's nonce.

pub mod ask;
mod error;
pub mod messages;
pub mod station;
mod suite;
pub mod terminal;

pub use error::Reason;
pub use messages::{CollectKey, Collected};
pub use suite::{CeremonyNonce, CollectSuite, DeviceProof, SEALED_TK};

/// The end of a collection on one side.
pub type Fault = crate::Fault<Reason>;

#[cfg(test)]
mod tests;
