//! Flow A: a terminal gets its TMK from the KMS under the TK that was collected from it (1-systems.md A, steps 8–12;
//! 2-wire.md section 4, flow A).
//!
//! ```text
//! PIN pad        terminal                              KMS                      HSM, store
//!    | <--start----- |                                  |                           |
//!    | ---Rnd1-----> | --TK_HELLO: SN, slot, Rnd1-----> |                           |
//!    |               |                                  | --Rnd1------------------> |
//!    |               | <--TK_CHALLENGE: Crnd1, Rnd2---- | <--Crnd1, Rnd2----------- |
//!    | <--challenge- |                                  |                           |
//!    | ---Crnd2----> | --TK_REPLY: Crnd2--------------> |                           |
//!    |               |                                  | --Crnd2, context--------> |  Crnd2 checked, TMK pending
//!    |               | <--TK_KEY: key block------------ | <--key block, KCV-------- |
//!    | <--key------- |                                  |                           |
//!    | ---KCV------> | --KEY_CONFIRM: KCV-------------> |                           |
//!    |               |                                  | --confirm---------------> |  TMK active
//!    |               | <--DONE------------------------- |                           |
//!    | <--done------ |                                  |                           |
//! ```
//!
//! `terminal` is generic over its PIN pad; `kms` hands out its state between messages, and the driver asks HSM and
//! store.
//!
//! # Threats answered
//!
//! - *A false KMS*: Crnd1 shows that it holds AUK; the PIN pad compares it (0005).
//! - *A false terminal*: Crnd2 shows the same; the HSM compares it (0006). To a stranger everything until then looks the
//!   same for known and unknown serials, so the driver answers TK_HELLO of an unknown one with made-up values.
//! - *Reflection* (an answer got from one side is given to it as the other's): the top bit of Rnd1 is 0 and that of Rnd2
//!   is 1, and both sides check it (0002).
//! - *Replay*: both sides' random numbers are fresh, and the key block carries the digest of every frame before it, so
//!   that an old TK_KEY opens nowhere (0007).
//! - *A swapped serial or slot*: they are in that digest, and the key block names its place.
//! - *A lower suite*: TK_HELLO names the suite, the digest holds it; one that this side has not is refused to a proven
//!   peer (0009) and is no better than a stranger before.
//! - *A cut line or a crash at any point*: the key is pending until confirmed and sent again; the terminal keeps the old
//!   one beside the new. State is on disk before the message that depends on it leaves.
//! - *A lying KEY_CONFIRM*: a wrong check value leaves the key pending and is an alarm (0007).
//!
//! Not answered in suite 01: DONE is not authenticated, and there is no forward secrecy. Suite 02 has both: ephemeral keys
//! in the first two messages, receipts in KEY_CONFIRM and DONE (3-hardened.md).
//!
//! Both sides are written once, for every suite: [`DownloadSuite`] names what a suite puts into each message.

mod ec_aes;
mod error;
pub mod kms;
pub mod messages;
mod suite;
mod tdes;
pub mod terminal;

pub use error::{PadRefusal, Reason};
pub use suite::DownloadSuite;
pub use terminal::DownloadPad;

/// The end of a TMK download on one side.
pub type Fault = crate::Fault<Reason>;

#[cfg(test)]
mod tests;
