//! The wire, byte by byte: frames, TLV fields, message types, serials and codes (`docs/spec/2-wire.md`).
//!
//! Bytes from a link go into a [`FrameDecoder`], which gives whole [`Frame`]s. A frame gives its [`Message`]: a
//! [`MessageType`] and [`Fields`]. Reading is strict: everything that 2-wire.md section 1 calls malformed is refused
//! with a [`Malformed`] that names the defect, and nothing that a peer can send makes this crate panic.
//!
//! The values that fields hold are types that are checked when they are made: serials and slots, times, the parts of a
//! session with a TMS ([`TData`], [`SData`], [`Src`]), packages and what a vendor signs of one ([`Manifest`]). What
//! suite 02 adds (`docs/spec/3-hardened.md`) is an order of fields ([`Fields::in_order`]) and frames that are taken
//! without the [`Proof`] that they carry.
//!
//! The crate decides nothing about a conversation (that is `flows`) and opens no link. It needs only `alloc`, so that
//! a terminal can use it.
//!
//! ```
//! use keyferry_wire::{Fields, Frame, FrameDecoder, MessageType, Serial, Tag};
//!
//! let mut fields = Fields::new();
//! fields.push(Tag::SERIAL, Serial::parse("SN-1001")?.as_bytes())?;
//! let frame = Frame::new(MessageType::Collected, &fields)?;
//!
//! let mut decoder = FrameDecoder::new();
//! decoder.push(frame.bytes())?;
//! let received = decoder.next()?.expect("a whole frame was pushed");
//! assert_eq!(received.message()?.fields.device()?.sn().as_str(), "SN-1001");
//! # Ok::<(), keyferry_wire::Malformed>(())
//! ```

#![no_std]
#![warn(clippy::indexing_slicing)]
#![cfg_attr(
    test,
    allow(clippy::indexing_slicing, reason = "a test that indexes wrongly fails, as it should")
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod bcd_time;
mod code;
mod decoder;
mod device;
mod error_message;
mod fields;
mod fingerprint;
mod frame;
mod hex;
mod identifier;
mod kcv;
pub mod limits;
mod malformed;
mod message_type;
mod package;
mod place;
mod plan_entry;
mod proof;
mod serial;
mod serial_address;
mod session_data;
mod slot;
mod suite;
mod tag;
mod tms;
mod typed;

pub use bcd_time::BcdTime;
pub use code::ErrorCode;
pub use decoder::FrameDecoder;
pub use device::Device;
pub use error_message::{ErrorMessage, error_frame, error_frame_with_refusals};
pub use fields::{Field, Fields, Value};
pub use fingerprint::fingerprint;
pub use frame::{Frame, Message};
pub use identifier::Identifier;
pub use kcv::Kcv;
pub use malformed::Malformed;
pub use message_type::MessageType;
pub use package::{Manifest, PackageId, PackageKind, PackageName, PackageVersion};
pub use place::Place;
pub use plan_entry::{PackageSignature, PlanEntry};
pub use proof::Proof;
pub use serial::{ModelId, OperatorId, Serial, VendorId};
pub use serial_address::{NotSerial, SerialAddress};
pub use session_data::{SData, TData};
pub use slot::Slot;
pub use suite::Suite;
pub use tag::Tag;
pub use tms::{Src, Stage, TmsVersion, TransactionCode};
