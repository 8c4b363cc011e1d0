//! The messages of a download from the RKS (2-wire.md section 3, types 11–16, then 05 and 06). A PIN pad reads them from
//! the frames itself. What differs from suite to suite is a [`Part`]; those of suite 01 are in `tdes`, those of suite 02
//! in `ec_aes`.

use alloc::{string::String, vec::Vec};

use wire::{Device, Fields, Frame, Malformed, MessageType, Slot, Tag};

use super::suite::RksSuite;
use crate::{
    Chain, ProtocolError, Suite, Tdes,
    loading::key_block,
    refusal_record,
    suite::{self, Part},
};

pub use super::ec_aes::{SealedFactor, SignedOpening};
pub use super::tdes::{RksFactor, RksProof, RksToken};
pub use crate::loading::{Done, KeyConfirm};

/// The one value of `more` (DF24).
const MORE: [u8; 1] = [0x01];

/// RKS_AUTH: device → RKS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RksAuth<S: RksSuite = Tdes> {
    /// The suite asked for (DF01), which may be one that this side has not.
    pub suite: wire::Suite,
    /// Device and PIN pad (DF02, DF03). DSN of the derivation is DF02.
    pub device: Device,
    /// The first slot wanted (DF04).
    pub slot: Slot,
    /// What the device opens with.
    pub opening: S::Opening,
    /// Records of refusals (FF23), as they came.
    pub refusals: Vec<Fields>,
}

impl<S: RksSuite> RksAuth<S> {
    /// Reads an RKS_AUTH.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<RksAuth<S>, ProtocolError> {
        let fields = S::read(frame, MessageType::RksAuth)?;
        Ok(RksAuth {
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
        suite::write::<S>(MessageType::RksAuth, |fields| {
            fields.push(Tag::SUITE, &[self.suite.byte()])?;
            fields.push_device(&self.device)?;
            fields.push(Tag::SLOT, &[self.slot.index()])?;
            self.opening.push(fields)?;
            refusal_record::push(fields, &self.refusals)
        })
    }
}

/// RKS_CERT: RKS → device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RksCert<S: RksSuite = Tdes> {
    /// RKS_WCRT and its intermediates (DF0C, DF0D).
    pub chain: Chain,
    /// The RKS's own opening.
    pub answer: S::Answer,
}

impl<S: RksSuite> RksCert<S> {
    /// Reads an RKS_CERT.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<RksCert<S>, ProtocolError> {
        let fields = S::read(frame, MessageType::RksCert)?;
        Ok(RksCert { chain: Chain::read(&fields)?, answer: Part::read(&fields)? })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when the certificates fit into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        suite::write::<S>(MessageType::RksCert, |fields| {
            self.chain.push(fields)?;
            self.answer.push(fields)
        })
    }
}

/// RKS_KEYS: RKS → device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RksKeys {
    /// The texts of the key blocks (FF21 with DF40 each), one or more; each one's `10` names its slot. In suite 01 they
    /// are under TK, in suite 02 under the flow's own key.
    pub blocks: Vec<String>,
    /// Whether this is not all yet (DF24): the device is to run the flow again.
    pub more: bool,
}

impl RksKeys {
    /// Reads an RKS_KEYS.
    ///
    /// # Errors
    /// When the frame is another message or malformed, has no FF21, or one without a key block.
    pub fn read<S: Suite>(frame: &Frame) -> Result<RksKeys, ProtocolError> {
        let fields = S::read(frame, MessageType::RksKeys)?;
        let tag = Tag::KEY_ENTRY;
        let blocks: Vec<String> =
            fields.templates(tag).map(|entry| key_block(entry, Tag::KEY_BLOCK)).collect::<Result<_, _>>()?;
        if blocks.is_empty() {
            return Err(Malformed::MissingField { tag }.into());
        }
        let more = match fields.get(Tag::MORE) {
            None => false,
            Some(_) if fields.exactly(Tag::MORE)? == MORE => true,
            Some(_) => return Err(Malformed::FieldValue { tag: Tag::MORE }.into()),
        };
        Ok(RksKeys { blocks, more })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when the blocks fit into no frame: send fewer, with `more`.
    pub fn write<S: Suite>(&self) -> Result<Frame, ProtocolError> {
        suite::write::<S>(MessageType::RksKeys, |fields| {
            for block in &self.blocks {
                let mut entry = Fields::new();
                entry.push(Tag::KEY_BLOCK, block.as_bytes())?;
                fields.push_template(Tag::KEY_ENTRY, entry)?;
            }
            if self.more { fields.push(Tag::MORE, &MORE) } else { Ok(()) }
        })
    }
}
