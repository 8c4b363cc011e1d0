//! What a vendor's material tracking system (MTMS) and an acquirer's KMS tell each other: orders, batches of transport
//! keys, and receipts (2-wire.md section 6).
//!
//! Documents are JSON inside CMS. Two of them carry a MAC, which is over the RFC 8785 form of the object without its
//! member `mac`: [`Batch`] and [`Receipt`]. This crate makes those bytes and reads the documents; it has no key, and the
//! MAC itself is the HSM's.
//!
//! What comes from outside is read strictly: a name twice in one object, or a number that two programs may read
//! differently, is refused, since then the MAC would not be over what the reader understood.
//!
//! | | suite 01 | suite 02 |
//! |---|---|---|
//! | `suite` of a batch | absent | 2 |
//! | PK, MAK | TDES, 24 bytes | AES-256 |
//! | `tek`, `auk` | X9.143 version B: `K1TB`, `D0TB` | version D: `14AN`, `15AN` |
//! | their optional blocks | `10` (`<PIN pad>/00`), `PB` | `10` (`<PIN pad>/00`) |
//! | an entry also has | – | `generation` (DF18, decimal digits), `device` (DER in base64) |
//! | `mac` | CMAC-TDES, 16 digits | CMAC-AES, 32 digits |
//!
//! An [`Order`] goes to `POST /v1/orders` of the vendor's MTMS and of the buyer's KMS, signed by an operator and an
//! administrator. A batch goes to `POST /v1/batches` of the KMS, signed by a card of role `.6`. A batch that is taken is
//! answered by 200 and [`Answer`], the same content again by 409 and [`Received`] with the very same receipt, one that is
//! refused as a whole by another status and a code: `bad-signature`, `card-refused`, `card-revoked`, `wrong-mac` (403),
//! `bad-content`, `wrong-order`, `serial-twice` (422). Codes of single terminals are `stored`, `awaits-approval`,
//! `already-stored` (taken); `already-known`, `not-in-order`, `wrong-model`, `key-refused`, `malformed`, `pin-pad-taken`,
//! `other-acquirer`, `other-vendor`, `lower-suite`, `device-key-taken`, `generation-not-higher`, `000D` (refused).

mod batch;
mod error;
mod json;
mod names;
mod order;
mod receipt;

pub use batch::{Batch, Entry, Read};
pub use error::BatchError;
pub use json::canonical;
pub use names::{is_fingerprint, is_name, is_sha256};
pub use order::{Close, NewOrder, Order, Serials};
pub use receipt::{Answer, Outcome, Receipt, Received, Refused};

/// Sizes that are refused when exceeded.
pub mod limits {
    /// Terminals in one batch.
    pub const TERMINALS: usize = 20_000;
    /// Serials in one order.
    pub const SERIALS: usize = 200_000;
    /// Longest name of an order, a vendor or a buyer, in bytes.
    pub const NAME: usize = 32;
    /// Longest key block of an entry, in characters: several times what any of them has.
    pub const KEY_BLOCK: usize = 1_024;
    /// Longest device certificate of an entry, in characters of base64.
    pub const DEVICE: usize = 16 * 1024;
    /// Largest whole number that every program reads alike: 2^53 − 1 (RFC 7493 section 2.2).
    pub const WHOLE: u64 = (1 << 53) - 1;
}

/// The one version of all documents.
pub const VERSION: u32 = 1;
