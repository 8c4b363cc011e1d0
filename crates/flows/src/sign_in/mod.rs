//! Flow F: a terminal gets its working keys from the host under its TMK (1-systems.md F, step 1; 2-wire.md section 4,
//! flow F).
//!
//! ```text
//! PIN pad        terminal                                  host                    HSM, store
//!    | <--begin----- |                                      |                           |
//!    | --Rnd1, KCV-> | --SIGN_IN: SN, slot, Rnd1, KCV-----> |                           |
//!    |               |                                      | --TMK, context----------> |  keys pending
//!    |               | <--WORKING_KEYS: PIK, MAK [, TDK]--- | <--key blocks------------ |
//!    | <--keys------ |                                      |                           |
//!    | ---MAC------> | --SIGN_IN_CONFIRM: MAC-------------> | --MAC-------------------> |  keys and TMK active
//!    |               | <--DONE: MAC------------------------ | <--MAC------------------- |
//!    | <--done------ |                                      |                           |
//! ```
//!
//! `terminal` is generic over its PIN pad; `host` hands out its state between messages, and the driver asks HSM and
//! store. A POSP may carry the same messages in its own: they stand alone in [`messages`].
//!
//! # Threats answered
//!
//! - *A false host*: only who holds the TMK makes blocks that open (0007) and DONE's MAC (0005).
//! - *A false terminal*: only who opened the keys makes the MAC of SIGN_IN_CONFIRM (0006); until then the old keys stay
//!   in use, so signing in under a foreign serial disturbs nobody.
//! - *Asking which serials, slots and keys exist*: all that can be wrong with SIGN_IN is the same 0006.
//! - *Replay*: Rnd1 is fresh, the blocks carry the digest of SIGN_IN, and both MACs are over Rnd1.
//! - *Keys left out, mixed or put to another use*: each block's context holds those before it, its use is in its header,
//!   and the MAC is over the check values of all.
//! - *A cut line*: the host changes before DONE, the terminal after it, so that they may differ; signing in again mends
//!   it. A terminal whose TMK the host does not hold tries the one before.
//!
//! Not answered in either suite: no forward secrecy (3-hardened.md). Suite 02 has a nonce of 32 bytes in place of Rnd1,
//! AES keys and MACs of 16 bytes.
//!
//! Both sides are written once, for every suite: [`SignInSuite`] names what a suite puts into each message.

mod ec_aes;
mod error;
pub mod host;
pub mod messages;
mod pad;
mod suite;
mod tdes;
pub mod terminal;

pub use error::Reason;
pub use pad::SignInPad;
pub use suite::SignInSuite;

/// The end of a sign-in on one side.
pub type Fault = crate::Fault<Reason>;

#[cfg(test)]
mod tests;
