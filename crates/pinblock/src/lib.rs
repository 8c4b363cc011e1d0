//! ISO 9564-1 PIN blocks: formats 0, 1, 3 and 4.
//!
//! A PIN travels as a block: the PIN, its length, fill, and in formats 0, 3 and 4 the card's number, so that the block
//! is worth nothing with another card. Formats 0, 1 and 3 are eight bytes in clear, which the caller enciphers with
//! TDES; format 4 is sixteen bytes, enciphered here, because AES works on both sides of its PAN.
//!
//! ```
//! use pinblock::{Format, Format4Key, Pan, Pin};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pin = Pin::new("1234")?;
//! let pan = Pan::new("5555555551234567")?;
//!
//! let clear = pinblock::encode(Format::Iso0, &pin, Some(&pan))?;
//! assert_eq!(clear.expose(), &[0x04, 0x12, 0x61, 0xAA, 0xAA, 0xED, 0xCB, 0xA9]);
//! assert_eq!(pinblock::decode(Format::Iso0, clear.expose(), Some(&pan))?.expose(), "1234");
//!
//! let key = Format4Key::new(&[0x23; 16])?; // yours comes from an HSM
//! let block = pinblock::encode_format4(&pin, &pan, &key)?;
//! assert_eq!(pinblock::decode_format4(&block, &pan, &key)?.expose(), "1234");
//! # Ok(())
//! # }
//! ```
//!
//! # No oracle
//!
//! A wrong control field, length, digit, fill or PAN is one answer, [`BadBlock`], and decoding does the same work
//! whatever is wrong and wherever: no branch and no table look-up depends on the block. Who answers a peer passes
//! exactly this one answer on.
//!
//! # Format 2
//!
//! Format 2 is for a chip card's own reader, and in clear. It is known here only to be refused, in both directions.
//!
//! # What may become what
//!
//! [`translation`] has the standard's table of formats, without what leads into format 1.

pub mod translation;

mod block;
mod error;
mod field;
mod format;
mod format4;
mod pan;
mod pin;

pub use block::{ClearBlock, decode, encode, encode_filled};
pub use error::{BadBlock, Error};
pub use format::Format;
pub use format4::{Format4Key, decode_format4, encode_format4, encode_format4_filled};
pub use pan::Pan;
pub use pin::Pin;
