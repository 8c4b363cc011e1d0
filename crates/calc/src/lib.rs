//! The payment engineer's calculator, the library behind `keyferry calc`: check values, MACs, key blocks, parity,
//! components, PIN blocks.
//!
//! It works with clear keys, so it is for test keys, key ceremonies and looking for mistakes; the server cannot use it
//! (ARCHITECTURE.md). It judges no key: weak keys, equal parts and wrong parity are told, never refused.
//!
//! Two ways in:
//!
//! - functions over bytes that were read elsewhere (a prompt, standard input; never the command line), whose results
//!   can be printed: [`kcv`], [`mac`], [`parse`], [`unwrap`], [`wrap`] (its header by [`header()`]), [`parity`], [`combine`],
//!   [`encode_pin`], [`decode_pin`];
//! - [`answer`] and [`run_jsonl`]: one JSON request a line, one JSON answer a line, in order.
//!
//! ```
//! let request = r#"{"op":"kcv","algorithm":"tdes","key":"0123456789abcdeffedcba9876543210"}"#;
//! assert_eq!(keyferry_calc::answer(request), r#"{"ok":true,"kcv":"08D7B4"}"#);
//! ```
//!
//! # Requests
//!
//! Hexadecimal is accepted in either case and answered in upper case. Fields marked `?` may be left out.
//!
//! | `op` | fields | answer, besides `"ok":true` |
//! |---|---|---|
//! | `keyblock.unwrap` | `kbpk`, `block` | `key`, `header`, `optional`, `weak?` |
//! | `keyblock.wrap` | `kbpk`, `key`, `header`, `optional?`, `padded_length?` | `block`, `weak?` |
//! | `keyblock.parse` | `block` | `authenticated` (always false), `header`, `optional`, `encrypted_bytes`, `mac` |
//! | `kcv` | `algorithm` (`tdes`, `aes`, `aes-legacy`), `key` | `kcv`, `weak?` |
//! | `mac` | `algorithm` (see [`MacAlgorithm`]), `key`, `data`, `padding?` | `mac`, `weak?` |
//! | `parity` | `key` | `odd_parity`, `with_odd_parity`, `weak?`, `weak_part`, `semi_weak_part`, `possibly_weak_part`, `equal_parts` |
//! | `components` | `components`, `algorithm?` | `key`, `kcv`, `components` (`kcv`, `odd_parity?` each), `weak?` |
//! | `pinblock.encode` | `format` (0, 1, 3, 4), `pin`, `pan` (not in 1), `key` (AES, in 4; TDES `?` in 0, 1, 3) | `block` (clear without a key), `weak?` |
//! | `pinblock.decode` | `format`, `block`, `pan` (not in 1), `key` (as above) | `pin`, `weak?` |
//!
//! `header` has `version`, `usage`, `algorithm`, `mode`, `key_version` and `exportability`, and `key_context` where it
//! is not `0`. `optional` is an array of `[id, text]` in order, without `PB`. Asking for version A or C by name is
//! asking for a deprecated version. `weak` is there, and true, if the key that the request is about has a weak or
//! semi-weak DES part or equal parts. A refusal is `{"ok":false,"error":{"code":…,"message":…}}`; codes are stable.

mod answer;
mod blocks;
mod check_value;
mod components;
mod error;
mod header;
mod jsonl;
mod keys;
mod macs;
mod parity;
mod pins;
mod request;

pub use answer::answer;
pub use blocks::{OpenedBlock, ReadBlock, WrappedBlock, parse, unwrap, wrap};
pub use check_value::{CheckValue, kcv};
pub use components::{Combined, Component, combine};
pub use error::Error;
pub use header::{HeaderText, header};
pub use jsonl::{MAX_LINE, run_jsonl};
pub use keys::{Algorithm, Remarks, read_hex, to_hex};
pub use macs::{MacAlgorithm, MacValue, mac};
pub use parity::{Parity, parity};
pub use pins::{OpenedPin, PinBlock, decode_pin, encode_pin};

/// What [`wrap`] takes, so that callers need no dependency of their own.
pub use keyblock::Header;
/// The padding methods of ISO 9797-1.
pub use paycrypto::mac::Padding;
