//! The four messages of a sign-in (2-wire.md section 3, types 41–43 and the DONE after them). A PIN pad reads them from
//! the frames itself, and a POSP may carry them in messages of its own.

use alloc::{string::String, vec::Vec};
use core::ops::RangeInclusive;

use wire::{Device, Fields, Frame, Kcv, Malformed, MessageType, Slot, Suite, Tag};

use crate::{
    ProtocolError,
    fault::{expect, write},
    loading::key_block,
};

/// Bytes of Rnd1.
pub const RANDOM: usize = 8;
/// Bytes of a message MAC.
pub const MAC: usize = 8;
/// How many keys a sign-in brings: PIK and MAK, and a track key where it is wanted.
pub const KEYS: RangeInclusive<usize> = 2..=3;

/// SIGN_IN: terminal → host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// The suite asked for (DF01), which may be one that this side has not.
    pub suite: Suite,
    /// Terminal and PIN pad (DF02, DF03).
    pub device: Device,
    /// The slot of the TMK (DF04).
    pub slot: Slot,
    /// Rnd1 (DF05).
    pub rnd1: [u8; RANDOM],
    /// The check value of the TMK that the terminal holds (DF0B).
    pub kcv: Kcv,
}

impl SignIn {
    /// Reads a SIGN_IN.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<SignIn, ProtocolError> {
        let fields = expect(frame, MessageType::SignIn)?;
        Ok(SignIn {
            suite: fields.suite()?,
            device: fields.device()?,
            slot: fields.slot()?,
            rnd1: fields.exactly(Tag::RND1)?,
            kcv: fields.tdes_kcv()?,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: its fields are short.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::SignIn, |fields| {
            fields.push(Tag::SUITE, &[self.suite.byte()])?;
            fields.push_device(&self.device)?;
            fields.push(Tag::SLOT, &[self.slot.index()])?;
            fields.push(Tag::RND1, &self.rnd1)?;
            fields.push(Tag::KCV, self.kcv.as_bytes())
        })
    }
}

/// WORKING_KEYS: host → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkingKeys {
    /// The texts of the key blocks under TMK (DF40, each in an FF21 of its own): PIK, MAK and, where it is wanted, TDK.
    pub blocks: Vec<String>,
}

impl WorkingKeys {
    /// Reads a WORKING_KEYS.
    ///
    /// # Errors
    /// When the frame is another message or malformed, and when there are not two or three FF21 with exactly DF40 each.
    pub fn read(frame: &Frame) -> Result<WorkingKeys, ProtocolError> {
        let fields = expect(frame, MessageType::WorkingKeys)?;
        let tag = Tag::KEY_ENTRY;
        let read = |entry: &Fields| match (key_block(entry, Tag::KEY_BLOCK)?, entry.len()) {
            (block, 1) => Ok(block),
            _ => Err(Malformed::Template { tag }),
        };
        let blocks: Vec<String> = fields.templates(tag).map(read).collect::<Result<_, _>>()?;
        match blocks.len() {
            0 => Err(Malformed::MissingField { tag }.into()),
            count if KEYS.contains(&count) => Ok(WorkingKeys { blocks }),
            _ => Err(Malformed::Template { tag }.into()),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] for blocks that no frame can carry.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::WorkingKeys, |fields| {
            self.blocks.iter().try_for_each(|block| {
                let mut entry = Fields::new();
                entry.push(Tag::KEY_BLOCK, block.as_bytes())?;
                fields.push_template(Tag::KEY_ENTRY, entry)
            })
        })
    }
}

/// SIGN_IN_CONFIRM: terminal → host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInConfirm {
    /// MAC(MAK, `"OK"` ‖ Rnd1 ‖ check value of each key in order) (DF52).
    pub mac: [u8; MAC],
}

impl SignInConfirm {
    /// Reads a SIGN_IN_CONFIRM.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<SignInConfirm, ProtocolError> {
        read_mac(frame, MessageType::SignInConfirm).map(|mac| SignInConfirm { mac })
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::SignInConfirm, |fields| fields.push(Tag::MESSAGE_MAC, &self.mac))
    }
}

/// DONE after SIGN_IN_CONFIRM: host → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// MAC(MAK, `"DONE"` ‖ Rnd1) (DF52).
    pub mac: [u8; MAC],
}

impl SignedIn {
    /// Reads a DONE with its MAC.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<SignedIn, ProtocolError> {
        read_mac(frame, MessageType::Done).map(|mac| SignedIn { mac })
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::Done, |fields| fields.push(Tag::MESSAGE_MAC, &self.mac))
    }
}

fn read_mac(frame: &Frame, expected: MessageType) -> Result<[u8; MAC], ProtocolError> {
    Ok(expect(frame, expected)?.exactly(Tag::MESSAGE_MAC)?)
}
