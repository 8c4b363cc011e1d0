//! Suite 02, the EC/AES suite of 3-hardened.md: P-256, HKDF-SHA-256, AES-256-GCM, HPKE, key blocks of version D.
//!
//! Nothing here takes a key of suite 01 and nothing of suite 01 takes a key from here: [`keys`] names its own types.
//!
//! * [`AgreementKey`] and [`PublicPoint`] make Z, [`SigningKey`] and [`VerifyingKey`] sign and verify: a key for the one
//!   is never a key for the other.
//! * [`Schedule`] is made of Z, both nonces, a flow's static secret and the transcript of its first two messages; it
//!   gives one key for each purpose and direction: [`ServerConfirm`], [`TerminalConfirm`], [`Kbpk`],
//!   [`ReceiptTerminal`], [`ReceiptServer`], [`FrameTerminal`], [`FrameServer`], [`Operator`]. [`FactorKey`] comes
//!   from no static secret, so it is derived by itself.
//! * [`Tk`] travels by HPKE when it is collected ([`hpke`]).
//! * [`blocks`] has this suite's table of key blocks and the load counter of a TMK's slot.
//! * [`derive_dik2`] is the only other derivation.

pub mod blocks;
pub mod hpke;
pub mod keys;

mod aead;
mod agreement;
mod derive;
mod frame;
mod hkdf;
mod point;
mod purposes;
mod schedule;
mod signing;
mod tk;

pub use agreement::{AgreementKey, SCALAR, SharedSecret};
pub use derive::{MAX_FACTOR, derive_dik2};
pub use frame::{FrameOpener, FrameSealer, FrameServer, FrameTerminal};
pub use point::{POINT, PublicPoint};
pub use purposes::{FactorKey, Kbpk, LoadedKey, Operator, ReceiptServer, ReceiptTerminal};
pub use purposes::{ServerConfirm, TerminalConfirm};
pub use schedule::{KEPT_SCHEDULE, Nonces, Schedule, StaticSecret};
pub use signing::{SIGNATURE, SigningKey, VerifyingKey};
pub use tk::{CollectInfo, TK_CIPHERTEXT, Tk};

/// Bytes of a nonce (DF14).
pub const NONCE: usize = 32;

/// Bytes of a confirmation (DF15) and of a receipt (DF17).
pub const MAC: usize = crate::digest::SHA256;

/// TH of 3-hardened.md: the digest of a transcript.
pub type TranscriptHash = [u8; crate::digest::SHA256];

/// 32 secret bytes on the heap, so that moving them leaves no copy behind.
pub(crate) type Secret32 = Box<zeroize::Zeroizing<[u8; 32]>>;

/// Copies 32 bytes to a place of their own. The caller wipes the original.
pub(crate) fn secret(bytes: &[u8; 32]) -> Secret32 {
    let mut kept = Box::new(zeroize::Zeroizing::new([0; 32]));
    kept.copy_from_slice(bytes); // filled in its place on the heap
    kept
}
