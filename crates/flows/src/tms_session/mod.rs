//! Flow E, the session: terminal and TMS prove themselves to each other under a fresh DWK, and a session key is made
//! (1-systems.md E, steps 1–4; 2-wire.md section 4, flow E).
//!
//! ```text
//! PIN pad        terminal                                    TMS                     HSM, store
//!    | <--begin----- |                                        |                           |
//!    | ---T_DATA---> | --TMS_HELLO: who, what, T_DATA-------> |                           |
//!    |               |                                        | --T_DATA, context-------> |
//!    |               | <--TMS_CHALLENGE: TAC_1, S_DATA, DWK-- | <--TAC_1, S_DATA, DWK---- |
//!    | <--prove----- |                                        |                           |
//!    | ---SAC_1----> | --TMS_PROOF: SAC_1 [, operator]------> |                           |
//!    |               |                                        | --SAC_1, operator-------> |  both checked, keys made
//!    |               | <--TMS_KEY: session key [, TMK]------- | <--key blocks------------ |
//!    | <--keys------ |                                        |                           |
//!    |               |   0002: the sealed phase begins (`tms_download`)                   |
//!    | ---KCV------> | --KEY_CONFIRM: KCV (0001)------------> | --confirm---------------> |  TMK active
//!    | <--done------ | <--DONE------------------------------- |                           |
//! ```
//!
//! `terminal` is generic over its PIN pad; `tms` hands out its state between messages, and the driver asks HSM and
//! store. Where the TMS refuses, it says an SRC in TMS_CHALLENGE or TMS_KEY and both sides close.
//!
//! # Threats answered
//!
//! - *A false TMS*: only who holds this terminal's DMK makes a DWK that opens and the TAC_1 that goes with it; the PIN
//!   pad compares in constant time and says the same for both (0005).
//! - *A false terminal*: SAC_1 shows that it opened DWK; the HSM compares it before it makes a key (SRC 06). To a
//!   stranger everything until then looks the same for known and unknown serials.
//! - *Reflection*: the top bit of T_DATA is 0 and that of S_DATA is 1, and both sides check it (0002).
//! - *Replay*: DWK is fresh, its block carries the digest of TMS_HELLO, and the session key's and TMK's that of every
//!   frame before them.
//! - *An answer about another terminal*: each message repeats the identification, and one that differs is 0002.
//! - *A stranger with a stolen terminal*: where the acquirer demands it the operator proves a password, bound to this
//!   session by DWK, T_DATA and S_DATA; it is looked at only when the terminal is proven, and it leaves the terminal
//!   only when it is demanded and the TMS is proven.
//! - *A cut line or a crash at any point*: a TMK is pending until confirmed and sent again; the terminal keeps the old
//!   one beside the new.
//! - *A lying KEY_CONFIRM*: a wrong check value leaves the key pending and is an alarm (0007).
//!
//! Not answered in suite 01: TAC_1 and SAC_1 have 32 bits, so the HSM's driver counts wrong ones; DONE of 0001 is not
//! authenticated, and there is no forward secrecy. Suite 02 has all three: both sides add ephemeral keys and nonces to the
//! first two messages, the proofs are MACs of 32 bytes over everything said, no key travels but the TMK, TMS_KEY carries a
//! receipt, and so do KEY_CONFIRM and DONE (3-hardened.md, flow E).
//!
//! Both sides are written once, for every suite: [`TmsSuite`] names what a suite puts into each message.

mod ec_aes;
mod error;
mod identification;
pub mod messages;
mod pad;
mod suite;
mod tdes;
pub mod terminal;
pub mod tms;

pub use error::Reason;
pub use messages::{Identification, Transaction};
pub use pad::{OperatorPassword, PadOpening, PadProof, SealPad, TmsPad};
pub use suite::TmsSuite;

/// The end of a session on one side.
pub type Fault = crate::Fault<Reason>;

#[cfg(test)]
mod tests;
