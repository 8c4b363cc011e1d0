//! The messages of a local loading (2-wire.md section 3, types 21–23, then 05 and 06), and what KLD_KEY signs. A PIN pad
//! reads them from the frames itself.

use alloc::{borrow::ToOwned, format, string::String, string::ToString, vec::Vec};

use wire::{Device, Fields, Frame, Malformed, MessageType, Suite, Tag};

use crate::{
    Chain, PadRefusal, ProtocolError,
    fault::{expect, write},
    loading::{as_long_as_a_modulus, key_block},
};

pub use crate::loading::{Done, KeyConfirm};

/// Bytes of Rnd1, which is a TDES key.
pub const RND1: usize = 24;
/// Bytes of Rnd2.
pub const RND2: usize = 8;
/// Most bytes of a diversification factor (DF23); the fewest is one.
pub const MAX_FACTOR: usize = 32;

/// Where a key block's header has its usage (X9.143: after version and length).
const USAGE: core::ops::Range<usize> = 5..7;
/// The usage of a DIK2 (2-wire.md section 4).
const USAGE_DIK2: &str = "12";

/// KLD_CONNECT: KLD → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KldConnect {
    /// The suite (DF01), which may be one that this side has not.
    pub suite: Suite,
    /// AcquireWCRT and its intermediates (DF0C, DF0D).
    pub chain: Chain,
}

impl KldConnect {
    /// Reads a KLD_CONNECT.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<KldConnect, ProtocolError> {
        let fields = expect(frame, MessageType::KldConnect)?;
        Ok(KldConnect { suite: fields.suite()?, chain: Chain::read(&fields)? })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when the certificates fit into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::KldConnect, |fields| {
            fields.push(Tag::SUITE, &[self.suite.byte()])?;
            self.chain.push(fields)
        })
    }
}

/// KLD_ACCEPT: terminal → KLD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KldAccept {
    /// Terminal and PIN pad (DF02, DF03).
    pub device: Device,
    /// Rnd1 ‖ Rnd2 under AcquireWCRT's key (DF10): as long as an RSA modulus.
    pub c_rnd1_rnd2: Vec<u8>,
}

impl KldAccept {
    /// Reads a KLD_ACCEPT.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<KldAccept, ProtocolError> {
        let fields = expect(frame, MessageType::KldAccept)?;
        let c_rnd1_rnd2 = as_long_as_a_modulus(&fields, Tag::C_RND1_RND2)?;
        Ok(KldAccept { device: fields.device()?, c_rnd1_rnd2 })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when it fits into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::KldAccept, |fields| {
            fields.push_device(&self.device)?;
            fields.push(Tag::C_RND1_RND2, &self.c_rnd1_rnd2)
        })
    }
}

/// KLD_KEY: KLD → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KldKey {
    /// [`SignedFields`] under AcquireWCRT's private key with type 1 padding (DF11): as long as an RSA modulus.
    pub c_ctmk_rnd2: Vec<u8>,
}

impl KldKey {
    /// Reads a KLD_KEY.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<KldKey, ProtocolError> {
        let fields = expect(frame, MessageType::KldKey)?;
        Ok(KldKey { c_ctmk_rnd2: as_long_as_a_modulus(&fields, Tag::C_CTMK_RND2)? })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when it fits into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::KldKey, |fields| fields.push(Tag::C_CTMK_RND2, &self.c_ctmk_rnd2))
    }
}

/// What C_ctmk_rnd2 signs: `DF40 ‖ DF06 [‖ DF23]` as TLV, DF23 exactly with a DIK2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedFields {
    /// The text of the key block under Rnd1 (DF40).
    pub block: String,
    /// Rnd2' (DF06), to be compared with the terminal's own in constant time.
    pub rnd2: [u8; RND2],
    /// The diversification factor (DF23), 1–32 bytes, of a DIK2.
    pub factor: Option<Vec<u8>>,
}

impl SignedFields {
    /// Reads what type 1 padding was taken off: these fields, in this order, to the last byte, and nothing else.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for everything that is not so: whoever signs other fields, or bytes behind them,
    /// is not the KLD of this flow (2-wire.md section 8, 0005).
    pub fn read(recovered: &[u8]) -> Result<SignedFields, PadRefusal> {
        Self::parse(recovered)
            .map_err(|defect| PadRefusal::ServerNotProven { why: format!("what was signed: {defect}") })
            .and_then(|signed| {
                match (signed.usage() == Some(USAGE_DIK2), &signed.factor) {
                    (true, None) => Err("a DIK2 was signed without its factor"),
                    (false, Some(_)) => Err("a factor was signed with a key that is no DIK2"),
                    (true, Some(_)) | (false, None) => Ok(signed),
                }
                .map_err(|why| PadRefusal::ServerNotProven { why: why.to_string() })
            })
    }

    fn parse(recovered: &[u8]) -> Result<SignedFields, Malformed> {
        let fields = Fields::parse(recovered)?;
        let in_order = [Tag::KEY_BLOCK, Tag::RND2, Tag::FACTOR];
        let mut expected = in_order.into_iter();
        if let Some(field) = fields.iter().find(|field| Some(field.tag()) != expected.next()) {
            return Err(Malformed::UnwantedField { tag: field.tag() });
        }
        let factor = fields.get(Tag::FACTOR).map(|factor| match factor.len() {
            1..=MAX_FACTOR => Ok(factor.to_owned()),
            found => Err(Malformed::FieldLength { tag: Tag::FACTOR, found }),
        });
        Ok(SignedFields {
            block: key_block(&fields, Tag::KEY_BLOCK)?,
            rnd2: fields.exactly(Tag::RND2)?,
            factor: factor.transpose()?,
        })
    }

    /// The bytes to sign.
    ///
    /// # Errors
    /// [`Malformed`] for a block that no field can carry.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut fields = Fields::new();
        fields.push(Tag::KEY_BLOCK, self.block.as_bytes())?;
        fields.push(Tag::RND2, &self.rnd2)?;
        if let Some(factor) = &self.factor {
            fields.push(Tag::FACTOR, factor)?;
        }
        fields.encode()
    }

    /// What the block says that it holds: `K1` for a TMK, `11` for a DMK, `12` for a DIK2.
    pub fn usage(&self) -> Option<&str> {
        self.block.get(USAGE)
    }
}
