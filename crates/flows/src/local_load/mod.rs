//! Flow B: a key loading device (KLD) loads a key into a terminal by cable, under a certificate of the terminal's own
//! acquirer (1-systems.md B; 2-wire.md section 4, flow B). The terminal listens, the KLD connects.
//!
//! ```text
//! HSM         KLD                                   terminal                        PIN pad
//!  |           | --KLD_CONNECT: suite, certificate--> |                                |
//!  |           |                                      | --certificate checked--------> |
//!  |           | <--KLD_ACCEPT: SN, C_rnd1_rnd2------ | <--Rnd1, Rnd2 under it-------- |
//!  | <-------- |                                      |                                |
//!  | --------> | --KLD_KEY: C_ctmk_rnd2-------------> | --accept, key----------------> |  Rnd2' compared, block
//!  |           | <--KEY_CONFIRM: KCV----------------- | <--KCV------------------------ |  opened under Rnd1
//!  |           | --DONE-----------------------------> | --done-----------------------> |
//! ```
//!
//! This is suite 01. Suite 02 has the same messages in the same order: KLD_CONNECT and KLD_ACCEPT bring ephemeral keys and
//! nonces, the terminal signs both with its device key, the KLD signs all three, and KEY_CONFIRM and DONE hold receipts.
//!
//! What is loaded, a TMK into a slot, DMK or DIK2 with its factor, the key block's usage says. `terminal` is generic over
//! its PIN pad; `kld` hands out its state between messages, and the driver asks its HSM.
//!
//! # Threats answered
//!
//! - *A KLD of another acquirer*, an expired, revoked or wrong-role certificate: the terminal's driver checks the chain
//!   against its own acquirer root before the PIN pad makes anything (000D).
//! - *A KLD that has only somebody's certificate*: it cannot open C_rnd1_rnd2, so it knows neither Rnd1 nor Rnd2, and
//!   cannot sign (0005); nor can it in suite 02.
//! - *A false terminal*, in suite 02: it has no device certificate with the serial that it names (000D), or not its key
//!   (0006).
//! - *Replay*: Rnd2 is fresh and compared, in suite 02 both ephemeral keys are signed (0005), and the key block's context is over KLD_CONNECT and KLD_ACCEPT (0007).
//! - *Another kind, slot or factor*: they are inside what is signed; the factor stands there exactly with a DIK2 (0005).
//! - *Another owner's slot*: the PIN pad keeps each slot's owner, here the acquirer root (0008).
//! - *A terminal served twice, or one that the run does not list*: the KLD refuses (0008, 0004) before its HSM makes
//!   anything.
//! - *A lying KEY_CONFIRM*: a wrong check value is an alarm at the KLD (0007).
//!
//! Not answered in suite 01: the KLD does not know a true terminal from a false one. A false one gets a key that it
//! may have; the run's list and the true terminal, which then finds its serial served, show it (2-wire.md section 4).

mod ec_aes;
mod error;
pub mod kld;
pub mod messages;
mod suite;
mod tdes;
pub mod terminal;

pub use crate::PadRefusal;
pub use error::Reason;
pub use suite::LoadSuite;
pub use terminal::LoadPad;

/// The end of a local loading on one side.
pub type Fault = crate::Fault<Reason>;

#[cfg(test)]
mod tests;
