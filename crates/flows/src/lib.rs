//! The flows of Keyferry as pure roles: no socket, no clock, no runtime, no log.
//!
//! One folder per flow, every role of it inside: [`tmk_download`], [`collect`] and [`repair`] (A, D), [`local_load`] (B),
//! [`rks_load`] (C), [`tms_session`] and [`tms_download`] (E), [`sign_in`] (F). A role takes a frame and gives the next
//! one; what it needs from outside (a PIN pad, an HSM, a store) it asks its driver for. Server, terminal, station,
//! simulator and fuzzer run the same code.
//!
//! A state is a struct that its own step consumes, named by what it waits for, and it carries what the checks before it
//! yielded: a step cannot be skipped or done twice. A step that refuses gives a [`Fault`]: the exact reason for the
//! audit, the code of 2-wire.md section 8 and the ERROR for the peer.

#![no_std]
#![warn(clippy::indexing_slicing)]
#![cfg_attr(
    test,
    allow(clippy::indexing_slicing, reason = "a test that indexes wrongly fails, as it should")
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod chain;
pub mod collect;
pub mod device_certificate;
mod fault;
mod loading;
pub mod local_load;
mod pad;
mod refusal_record;
pub mod repair;
pub mod rks_load;
mod said;
pub mod sign_in;
pub mod suite;
#[cfg(test)]
mod testing;
pub mod tmk_download;
pub mod tms_download;
pub mod tms_session;
pub mod transcript;

pub use chain::{Chain, MAX_INTERMEDIATES};
pub use fault::{Fault, HasCode, ProtocolError};
pub use loading::{Confirm, Confirmed, Done, ExpectConfirm, KeyConfirm, Loaded, LoadingReason, Told};
pub use pad::PadRefusal;
pub use refusal_record::RefusalRecord;
pub use said::Said;
pub use suite::{EcAes, Suite, Tdes};
pub use transcript::{BoundTranscript, Context, FlowLetter, Th, Transcript};
