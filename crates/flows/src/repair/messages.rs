//! The messages of a repair (2-wire.md section 3, types 54–56), and what its signature is over.

use alloc::{borrow::ToOwned, vec::Vec};

use wire::{BcdTime, Device, Frame, MessageType, Tag};

use crate::{
    Chain, ProtocolError,
    chain::not_empty,
    fault::{expect, write},
};

pub use crate::loading::Done;

/// Bytes of a repair challenge (DF26).
pub const CHALLENGE: usize = 16;

/// What tells this signature from every other one.
const SIGNED: &[u8] = b"KF repair";

/// What DF49 signs: `"KF repair" ‖ SN ‖ 00 ‖ PIN pad serial ‖ 00 ‖ DF26 ‖ DF27`. With a built-in PIN pad its serial is SN:
/// what counts is the serial that keys belong to. Neither serial can hold a 00, so no two terminals have one text.
pub fn signed_text(device: &Device, challenge: &[u8; CHALLENGE], expiry: BcdTime) -> Vec<u8> {
    [
        SIGNED,
        device.sn().as_bytes(),
        &[0],
        device.pin_pad().as_bytes(),
        &[0],
        challenge.as_slice(),
        expiry.as_bytes().as_slice(),
    ]
    .concat()
}

/// REPAIR_ASK, which carries nothing: station → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairAsk;

impl RepairAsk {
    /// Reads a REPAIR_ASK.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<RepairAsk, ProtocolError> {
        expect(frame, MessageType::RepairAsk).map(|_| RepairAsk)
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::RepairAsk, |_| Ok(()))
    }
}

/// REPAIR_CHALLENGE: terminal → station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairChallenge {
    /// Terminal and PIN pad (DF02, DF03).
    pub device: Device,
    /// The challenge (DF26).
    pub challenge: [u8; CHALLENGE],
}

impl RepairChallenge {
    /// Reads a REPAIR_CHALLENGE.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<RepairChallenge, ProtocolError> {
        let fields = expect(frame, MessageType::RepairChallenge)?;
        Ok(RepairChallenge { device: fields.device()?, challenge: fields.exactly(Tag::REPAIR_CHALLENGE)? })
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: it has a bounded size.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::RepairChallenge, |fields| {
            fields.push_device(&self.device)?;
            fields.push(Tag::REPAIR_CHALLENGE, &self.challenge)
        })
    }
}

/// REPAIR: station → terminal. What a vendor's authorisation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The authoriser's certificate and its intermediates (DF0C, DF0D).
    pub chain: Chain,
    /// Until when it holds (DF27).
    pub expiry: BcdTime,
    /// RSASSA-PSS, SHA-256, 32-byte salt, over [`signed_text`] (DF49).
    pub signature: Vec<u8>,
}

impl Repair {
    /// Reads a REPAIR.
    ///
    /// # Errors
    /// When the frame is another message or malformed, also when the expiry is no time.
    pub fn read(frame: &Frame) -> Result<Repair, ProtocolError> {
        let fields = expect(frame, MessageType::Repair)?;
        Ok(Repair {
            chain: Chain::read(&fields)?,
            expiry: fields.bcd_time(Tag::REPAIR_EXPIRY)?,
            signature: not_empty(Tag::SIGNATURE, fields.required(Tag::SIGNATURE)?)?.to_owned(),
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when the certificates fit into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::Repair, |fields| {
            self.chain.push(fields)?;
            fields.push(Tag::REPAIR_EXPIRY, self.expiry.as_bytes())?;
            fields.push(Tag::SIGNATURE, &self.signature)
        })
    }
}
