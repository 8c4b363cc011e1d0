//! The messages of a TMK download (2-wire.md section 3, types 01–06). A PIN pad reads them from the frames itself. What
//! differs from suite to suite is a [`Part`]; those of suite 01 are in `tdes`.

use alloc::{string::String, vec::Vec};

use wire::{Device, Fields, Frame, MessageType, Slot, Tag};

use super::suite::DownloadSuite;
use crate::{
    ProtocolError, Suite, Tdes,
    loading::key_block,
    refusal_record,
    suite::{self, Part},
};

pub use super::tdes::{RANDOM, Rnd1, TkChallenge, TkReply};
pub use crate::loading::{Done, KeyConfirm};

/// TK_HELLO: terminal → KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TkHello<S: DownloadSuite = Tdes> {
    /// The suite asked for (DF01), which may be one that this side has not.
    pub suite: wire::Suite,
    /// Terminal and PIN pad (DF02, DF03).
    pub device: Device,
    /// The slot to fill (DF04).
    pub slot: Slot,
    /// What the terminal opens with.
    pub opening: S::Opening,
    /// Records of refusals (FF23), as they came.
    pub refusals: Vec<Fields>,
}

impl<S: DownloadSuite> TkHello<S> {
    /// Reads a TK_HELLO.
    ///
    /// # Errors
    /// When the frame is another message or malformed; the top bit of Rnd1 belongs to the form.
    pub fn read(frame: &Frame) -> Result<TkHello<S>, ProtocolError> {
        let fields = S::read(frame, MessageType::TkHello)?;
        Ok(TkHello {
            suite: fields.suite()?,
            device: fields.device()?,
            slot: fields.slot()?,
            opening: Part::read(&fields)?,
            refusals: refusal_record::read(&fields)?,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when the refusal records are too many.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        suite::write::<S>(MessageType::TkHello, |fields| {
            fields.push(Tag::SUITE, &[self.suite.byte()])?;
            fields.push_device(&self.device)?;
            fields.push(Tag::SLOT, &[self.slot.index()])?;
            self.opening.push(fields)?;
            refusal_record::push(fields, &self.refusals)
        })
    }
}

/// TK_KEY: KMS → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TkKey {
    /// The text of TMK's key block (DF40): under TEK in suite 01, under the flow's own key in suite 02. ASCII and not empty; whether it opens is for the PIN pad.
    pub block: String,
}

impl TkKey {
    /// Reads a TK_KEY.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read<S: Suite>(frame: &Frame) -> Result<TkKey, ProtocolError> {
        let fields = S::read(frame, MessageType::TkKey)?;
        Ok(TkKey { block: key_block(&fields, Tag::KEY_BLOCK)? })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] for a block that no frame can carry.
    pub fn write<S: Suite>(&self) -> Result<Frame, ProtocolError> {
        suite::write::<S>(MessageType::TkKey, |fields| fields.push(Tag::KEY_BLOCK, self.block.as_bytes()))
    }
}
