//! Collecting without a station: the terminal connects to KMS or MTMS and asks to be collected (1-systems.md D;
//! 2-wire.md section 3, type 53). The messages inside are those of a collection by a station.
//!
//! ```text
//! terminal                              KMS or MTMS
//!    | --COLLECT_ASK: suite, SN-----------> |  inside a window that two people
//!    |                                      |  opened for this serial
//!    | <--COLLECT: suite, certificate------ |
//!    |  certificate, life cycle, sensors    |
//!    | --COLLECTED: SN, Ctk_Pu------------> |  opened once in the HSM, stored
//!    | <--DONE----------------------------- |
//! ```
//!
//! # Threats answered
//!
//! Those of [a collection](super), and *whoever calls with a serial*: outside of a window that two people opened for that
//! serial there is only 0006, and COLLECTED must name the device that asked (0006). Who the terminal is nobody can tell
//! in this suite: the window and the fingerprint, which people compare, stand in for it.

pub mod server;
pub mod terminal;

use wire::{Device, Frame, MessageType, Suite, Tag};

use crate::{
    ProtocolError,
    fault::{expect, write},
};

/// COLLECT_ASK: terminal → KMS or MTMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectAsk {
    /// The suite (DF01), which may be one that this side has not.
    pub suite: Suite,
    /// Terminal and PIN pad (DF02, DF03).
    pub device: Device,
}

impl CollectAsk {
    /// Reads a COLLECT_ASK.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<CollectAsk, ProtocolError> {
        let fields = expect(frame, MessageType::CollectAsk)?;
        Ok(CollectAsk { suite: fields.suite()?, device: fields.device()? })
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: it has a bounded size.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::CollectAsk, |fields| {
            fields.push(Tag::SUITE, &[self.suite.byte()])?;
            fields.push_device(&self.device)
        })
    }
}

#[cfg(test)]
mod tests;
