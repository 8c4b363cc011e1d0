//! The four messages of a sign-in (2-wire.md section 3, types 41–43 and the DONE after them). A PIN pad reads them from
//! the frames itself, and a POSP may carry them in messages of its own. What differs from suite to suite is a [`Part`].

use alloc::{string::String, vec::Vec};
use core::ops::RangeInclusive;

use wire::{Device, Fields, Frame, Kcv, Malformed, MessageType, Slot, Tag};

use super::suite::SignInSuite;
use crate::{
    ProtocolError, Suite, Tdes,
    loading::key_block,
    suite::{self, Part},
};

pub use super::{
    ec_aes::{NONCE, Nonce},
    suite::Mac,
    tdes::{RANDOM, Rnd1},
};

/// How many keys a sign-in brings: PIK and MAK, and a track key where it is wanted.
pub const KEYS: RangeInclusive<usize> = 2..=3;

/// SIGN_IN: terminal → host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn<S: SignInSuite = Tdes> {
    /// The suite asked for (DF01), which may be one that this side has not.
    pub suite: wire::Suite,
    /// Terminal and PIN pad (DF02, DF03).
    pub device: Device,
    /// The slot of the TMK (DF04).
    pub slot: Slot,
    /// What makes it fresh: Rnd1 (DF05) or a nonce (DF14).
    pub fresh: S::Fresh,
    /// The check value of the TMK that the terminal holds (DF0B).
    pub kcv: Kcv,
}

impl<S: SignInSuite> SignIn<S> {
    /// Reads a SIGN_IN.
    ///
    /// # Errors
    /// When the frame is another message or malformed, also for a check value of another suite.
    pub fn read(frame: &Frame) -> Result<SignIn<S>, ProtocolError> {
        let fields = S::read(frame, MessageType::SignIn)?;
        Ok(SignIn {
            suite: fields.suite()?,
            device: fields.device()?,
            slot: fields.slot()?,
            fresh: Part::read(&fields)?,
            kcv: kcv::<S>(&fields)?,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: its fields are short.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        suite::write::<S>(MessageType::SignIn, |fields| {
            fields.push(Tag::SUITE, &[self.suite.byte()])?;
            fields.push_device(&self.device)?;
            fields.push(Tag::SLOT, &[self.slot.index()])?;
            self.fresh.push(fields)?;
            fields.push(Tag::KCV, self.kcv.as_bytes())
        })
    }
}

/// WORKING_KEYS: host → terminal. The same in every suite but for the order of its fields.
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
    pub fn read<S: Suite>(frame: &Frame) -> Result<WorkingKeys, ProtocolError> {
        let fields = S::read(frame, MessageType::WorkingKeys)?;
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
    pub fn write<S: Suite>(&self) -> Result<Frame, ProtocolError> {
        suite::write::<S>(MessageType::WorkingKeys, |fields| {
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
pub struct SignInConfirm<S: SignInSuite = Tdes> {
    /// MAC(MAK, `"OK"` ‖ Rnd1 or nonce ‖ check value of each key in order) (DF52).
    pub mac: S::Mac,
}

impl<S: SignInSuite> SignInConfirm<S> {
    /// Reads a SIGN_IN_CONFIRM.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<SignInConfirm<S>, ProtocolError> {
        read_mac::<S>(frame, MessageType::SignInConfirm).map(|mac| SignInConfirm { mac })
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        suite::write::<S>(MessageType::SignInConfirm, |fields| self.mac.push(fields))
    }
}

/// DONE after SIGN_IN_CONFIRM: host → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn<S: SignInSuite = Tdes> {
    /// MAC(MAK, `"DONE"` ‖ Rnd1 or nonce) (DF52).
    pub mac: S::Mac,
}

impl<S: SignInSuite> SignedIn<S> {
    /// Reads a DONE with its MAC.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<SignedIn<S>, ProtocolError> {
        read_mac::<S>(frame, MessageType::Done).map(|mac| SignedIn { mac })
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        suite::write::<S>(MessageType::Done, |fields| self.mac.push(fields))
    }
}

fn read_mac<S: SignInSuite>(frame: &Frame, expected: MessageType) -> Result<S::Mac, ProtocolError> {
    Ok(S::Mac::read(&S::read(frame, expected)?)?)
}

/// A check value of the suite (DF0B): another suite's has another length.
fn kcv<S: Suite>(fields: &Fields) -> Result<Kcv, Malformed> {
    let value = fields.required(Tag::KCV)?;
    let kcv = Kcv::from_bytes(value).ok().filter(|kcv| S::has_kcv(*kcv));
    kcv.ok_or(Malformed::FieldLength { tag: Tag::KCV, found: value.len() })
}
