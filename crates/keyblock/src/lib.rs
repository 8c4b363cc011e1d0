//! ASC X9.143 (TR-31) and ISO 20038 key blocks: wrap, unwrap and read, versions A to E.
//!
//! A key block is a line of text that carries a key from one owner to another: a [`Header`] in the clear that says what
//! the key is for, the key encrypted under a key block protection key ([`Kbpk`]), and a MAC that binds the two together.
//!
//! ```
//! use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
//!
//! # #[cfg(feature = "crypto")]
//! # fn main() -> Result<(), keyblock::Error> {
//! // A protection key that both sides hold. Take yours from an HSM or a key ceremony, not from a source file.
//! let kbpk = Kbpk::new(Version::D, &[0x41; 32])?;
//!
//! // A PIN key for encryption only, that must not leave; `10` is a proprietary block saying where it belongs.
//! let header = Header::new(
//!     Version::D,
//!     Usage::PIN_ENCRYPTION,
//!     Algorithm::TDES,
//!     Mode::ENCRYPT,
//!     Exportability::NOT_EXPORTABLE,
//! )
//! .with_optional("10", "SN-1001/03")?;
//!
//! let pin_key = [0x23; 16];
//! let block = kbpk.wrap(&header, &pin_key)?;
//! assert!(block.starts_with("D0144P0TE00N020010"));
//!
//! // Reading the header needs no key, and proves nothing.
//! let (read, _) = Header::parse(&block)?;
//! assert_eq!(read.usage, Usage::PIN_ENCRYPTION);
//!
//! // Opening needs the key, and proves the header too.
//! let opened = kbpk.unwrap(&block)?;
//! assert_eq!(opened.header, header);
//! assert_eq!(opened.key.as_slice(), pin_key);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "crypto"))]
//! # fn main() {}
//! ```
//!
//! # What it does
//!
//! - Versions A, B, C and D of X9.143 and E of ISO 20038, wrap and unwrap. A and C are deprecated (a 32-bit MAC), so
//!   they are wrapped only by [`Kbpk::wrap_legacy`].
//! - Optional blocks, short and extended; the padding block `PB` comes and goes by itself.
//! - Keys of any length and kind that fit into 9999 characters: symmetric keys, RSA and EC private keys.
//! - Key lengths are hidden by random padding, as the standard recommends.
//! - One spelling: hexadecimal is upper case, lengths are exact. Each defect has its own [`Error`]; what could be an
//!   oracle has one, [`Error::NotAuthentic`].
//! - Clear keys and derived keys are wiped when dropped. MACs are compared in constant time.
//!
//! # What it does not do
//!
//! It judges no key and no header: weak keys, parity, which usage goes with which algorithm, and whether a protection
//! key is strong enough for what it wraps are the caller's policy.
//!
//! # Features
//!
//! `crypto` (default): [`Kbpk`] and [`Unwrapped`]. Without it [`Header`] and [`Envelope`] remain, and the crate depends
//! on no cryptography.

#[cfg(feature = "crypto")]
mod binding;
#[cfg(feature = "crypto")]
mod encode;
mod envelope;
mod error;
mod fields;
mod header;
mod hex;
#[cfg(feature = "crypto")]
mod kbpk;
mod optional;

pub use envelope::Envelope;
pub use error::Error;
pub use fields::{Algorithm, Exportability, KeyContext, KeyVersion, Mode, Usage, Version};
pub use header::{FIXED_HEADER_LENGTH, Header, MAX_OPTIONAL_BLOCKS};
#[cfg(feature = "crypto")]
pub use kbpk::{Kbpk, Unwrapped};
pub use optional::OptionalBlock;

/// The longest block that the header's four digits can say, in characters (X9.143 6.2).
pub const MAX_BLOCK_LENGTH: usize = 9999;

/// The example of the README is a test, too.
#[cfg(all(doctest, feature = "crypto"))]
#[doc = include_str!("../README.md")]
struct Readme;
