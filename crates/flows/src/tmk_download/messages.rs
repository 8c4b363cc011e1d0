//! The six messages of a TMK download (2-wire.md section 3, types 01–06). A PIN pad reads them from the frames itself.

use alloc::{string::String, vec::Vec};

use wire::{Device, Fields, Frame, Kcv, Malformed, MessageType, Slot, Suite, Tag};

use crate::{
    ProtocolError,
    fault::{expect, write},
    loading::key_block,
    refusal_record,
};

pub use crate::loading::Done;

/// Bytes of Rnd1, Rnd2 and the answers to them.
pub const RANDOM: usize = 8;

/// TK_HELLO: terminal → KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TkHello {
    /// The suite asked for (DF01), which may be one that this side has not.
    pub suite: Suite,
    /// Terminal and PIN pad (DF02, DF03).
    pub device: Device,
    /// The slot to fill (DF04).
    pub slot: Slot,
    /// Rnd1 (DF05), top bit 0.
    pub rnd1: [u8; RANDOM],
    /// Records of refusals (FF23), as they came.
    pub refusals: Vec<Fields>,
}

impl TkHello {
    /// Reads a TK_HELLO.
    ///
    /// # Errors
    /// When the frame is another message or malformed; the top bit of Rnd1 belongs to the form.
    pub fn read(frame: &Frame) -> Result<TkHello, ProtocolError> {
        let fields = expect(frame, MessageType::TkHello)?;
        let rnd1 = fields.exactly(Tag::RND1)?;
        if top_bit(&rnd1) {
            return Err(Malformed::TopBit { tag: Tag::RND1 }.into());
        }
        Ok(TkHello {
            suite: fields.suite()?,
            device: fields.device()?,
            slot: fields.slot()?,
            rnd1,
            refusals: refusal_record::read(&fields)?,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when the refusal records are too many.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::TkHello, |fields| {
            fields.push(Tag::SUITE, &[self.suite.byte()])?;
            fields.push_device(&self.device)?;
            fields.push(Tag::SLOT, &[self.slot.index()])?;
            fields.push(Tag::RND1, &self.rnd1)?;
            refusal_record::push(fields, &self.refusals)
        })
    }
}

/// TK_CHALLENGE: KMS → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TkChallenge {
    /// Crnd1 (DF07): E(AUK, Rnd1).
    pub crnd1: [u8; RANDOM],
    /// Rnd2 (DF06), top bit 1.
    pub rnd2: [u8; RANDOM],
}

impl TkChallenge {
    /// Reads a TK_CHALLENGE.
    ///
    /// # Errors
    /// When the frame is another message or malformed; the top bit of Rnd2 belongs to the form.
    pub fn read(frame: &Frame) -> Result<TkChallenge, ProtocolError> {
        let fields = expect(frame, MessageType::TkChallenge)?;
        let challenge = TkChallenge { crnd1: fields.exactly(Tag::CRND1)?, rnd2: fields.exactly(Tag::RND2)? };
        if !top_bit(&challenge.rnd2) {
            return Err(Malformed::TopBit { tag: Tag::RND2 }.into());
        }
        Ok(challenge)
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::TkChallenge, |fields| {
            fields.push(Tag::CRND1, &self.crnd1)?;
            fields.push(Tag::RND2, &self.rnd2)
        })
    }
}

/// TK_REPLY: terminal → KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TkReply {
    /// Crnd2 (DF08): E(AUK, Rnd2).
    pub crnd2: [u8; RANDOM],
}

impl TkReply {
    /// Reads a TK_REPLY.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<TkReply, ProtocolError> {
        let fields = expect(frame, MessageType::TkReply)?;
        Ok(TkReply { crnd2: fields.exactly(Tag::CRND2)? })
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::TkReply, |fields| fields.push(Tag::CRND2, &self.crnd2))
    }
}

/// TK_KEY: KMS → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TkKey {
    /// The text of TMK's key block under TEK (DF40). ASCII and not empty; whether it opens is for the PIN pad.
    pub block: String,
}

impl TkKey {
    /// Reads a TK_KEY.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<TkKey, ProtocolError> {
        let fields = expect(frame, MessageType::TkKey)?;
        Ok(TkKey { block: key_block(&fields, Tag::KEY_BLOCK)? })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] for a block that no frame can carry.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::TkKey, |fields| fields.push(Tag::KEY_BLOCK, self.block.as_bytes()))
    }
}

/// KEY_CONFIRM of one key: terminal → KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyConfirm {
    /// The check value of the key that was opened: exactly one FF21 that holds exactly DF0B.
    pub kcv: Kcv,
}

impl KeyConfirm {
    /// Reads a KEY_CONFIRM of one key.
    ///
    /// # Errors
    /// When the frame is another message or malformed, and when FF21 is not there exactly once or holds anything beside
    /// a check value of 3 bytes.
    pub fn read(frame: &Frame) -> Result<KeyConfirm, ProtocolError> {
        let fields = expect(frame, MessageType::KeyConfirm)?;
        let tag = Tag::KEY_ENTRY;
        let mut entries = fields.templates(tag);
        let entry = entries.next().ok_or(Malformed::MissingField { tag })?;
        let kcv = entry.tdes_kcv()?;
        if entry.len() != 1 || entries.next().is_some() {
            return Err(Malformed::Template { tag }.into());
        }
        Ok(KeyConfirm { kcv })
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::KeyConfirm, |fields| {
            let mut entry = Fields::new();
            entry.push(Tag::KCV, self.kcv.as_bytes())?;
            fields.push_template(Tag::KEY_ENTRY, entry)
        })
    }
}

/// Whether the top bit is set: it is 0 in Rnd1 and 1 in Rnd2 (2-wire.md section 4, flow A).
pub(super) fn top_bit(random: &[u8; RANDOM]) -> bool {
    let [first, ..] = random;
    first & 0x80 != 0
}
