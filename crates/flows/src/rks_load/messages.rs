//! The messages of a download from the RKS (2-wire.md section 3, types 11–16, then 05 and 06). A PIN pad reads them from
//! the frames itself.

use alloc::{string::String, vec::Vec};

use wire::{Device, Fields, Frame, Malformed, MessageType, Slot, Suite, Tag};

use crate::{
    Chain, ProtocolError,
    fault::{expect, write},
    loading::{as_long_as_a_modulus, key_block},
    refusal_record,
};

pub use crate::loading::{Done, KeyConfirm};

/// The one value of `more` (DF24).
const MORE: [u8; 1] = [0x01];

/// RKS_AUTH: device → RKS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RksAuth {
    /// The suite asked for (DF01), which may be one that this side has not.
    pub suite: Suite,
    /// Device and PIN pad (DF02, DF03). DSN of the derivation is DF02.
    pub device: Device,
    /// The first slot wanted (DF04).
    pub slot: Slot,
    /// Records of refusals (FF23), as they came.
    pub refusals: Vec<Fields>,
}

impl RksAuth {
    /// Reads an RKS_AUTH.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<RksAuth, ProtocolError> {
        let fields = expect(frame, MessageType::RksAuth)?;
        Ok(RksAuth {
            suite: fields.suite()?,
            device: fields.device()?,
            slot: fields.slot()?,
            refusals: refusal_record::read(&fields)?,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when the refusal records are too many.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::RksAuth, |fields| {
            fields.push(Tag::SUITE, &[self.suite.byte()])?;
            fields.push_device(&self.device)?;
            fields.push(Tag::SLOT, &[self.slot.index()])?;
            refusal_record::push(fields, &self.refusals)
        })
    }
}

/// RKS_CERT: RKS → device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RksCert {
    /// RKS_WCRT and its intermediates (DF0C, DF0D).
    pub chain: Chain,
}

impl RksCert {
    /// Reads an RKS_CERT.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<RksCert, ProtocolError> {
        let fields = expect(frame, MessageType::RksCert)?;
        Ok(RksCert { chain: Chain::read(&fields)? })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when the certificates fit into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::RksCert, |fields| self.chain.push(fields))
    }
}

/// RKS_FACTOR: device → RKS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RksFactor {
    /// The factor under RKS_WCRT's key (DF20): as long as an RSA modulus.
    pub factor_ciphertext: Vec<u8>,
}

impl RksFactor {
    /// Reads an RKS_FACTOR.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<RksFactor, ProtocolError> {
        let fields = expect(frame, MessageType::RksFactor)?;
        Ok(RksFactor { factor_ciphertext: as_long_as_a_modulus(&fields, Tag::FACTOR_CIPHERTEXT)? })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when it fits into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::RksFactor, |fields| fields.push(Tag::FACTOR_CIPHERTEXT, &self.factor_ciphertext))
    }
}

/// RKS_TOKEN: RKS → device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RksToken {
    /// The text of AT ‖ TK1's key block under DIK2 (DF21). ASCII and not empty; whether it opens is for the PIN pad.
    pub at_tk1: String,
}

impl RksToken {
    /// Reads an RKS_TOKEN.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<RksToken, ProtocolError> {
        let fields = expect(frame, MessageType::RksToken)?;
        Ok(RksToken { at_tk1: key_block(&fields, Tag::AT_TK1)? })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] for a block that no frame can carry.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::RksToken, |fields| fields.push(Tag::AT_TK1, self.at_tk1.as_bytes()))
    }
}

/// RKS_PROOF: device → RKS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RksProof {
    /// AT ‖ TK2 ‖ SHA-256(TK) under RKS_WCRT's key (DF22): as long as an RSA modulus.
    pub proof_ciphertext: Vec<u8>,
}

impl RksProof {
    /// Reads an RKS_PROOF.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<RksProof, ProtocolError> {
        let fields = expect(frame, MessageType::RksProof)?;
        Ok(RksProof { proof_ciphertext: as_long_as_a_modulus(&fields, Tag::AT_TK2_TK_SHA2)? })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when it fits into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::RksProof, |fields| fields.push(Tag::AT_TK2_TK_SHA2, &self.proof_ciphertext))
    }
}

/// RKS_KEYS: RKS → device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RksKeys {
    /// The texts of the key blocks under TK (FF21 with DF40 each), one or more; each one's `10` names its slot.
    pub blocks: Vec<String>,
    /// Whether this is not all yet (DF24): the device is to run the flow again.
    pub more: bool,
}

impl RksKeys {
    /// Reads an RKS_KEYS.
    ///
    /// # Errors
    /// When the frame is another message or malformed, has no FF21, or one without a key block.
    pub fn read(frame: &Frame) -> Result<RksKeys, ProtocolError> {
        let fields = expect(frame, MessageType::RksKeys)?;
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
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::RksKeys, |fields| {
            for block in &self.blocks {
                let mut entry = Fields::new();
                entry.push(Tag::KEY_BLOCK, block.as_bytes())?;
                fields.push_template(Tag::KEY_ENTRY, entry)?;
            }
            if self.more { fields.push(Tag::MORE, &MORE) } else { Ok(()) }
        })
    }
}
