//! Suite 01: two random numbers under the KLD's certificate, and a signature with message recovery (2-wire.md section 4,
//! flow B).

use alloc::{borrow::ToOwned, format, string::String, string::ToString, vec::Vec};

use wire::{Fields, Frame, Kcv, Malformed, MessageType, Tag};

use super::{
    Fault, Reason,
    kld::{Accept, ExpectConfirm},
    messages::{MAX_FACTOR, USAGE_DIK2, usage},
};
use crate::{
    PadRefusal, ProtocolError, Tdes,
    fault::{expect, write},
    loading::{MODULUS, as_long_as_a_modulus, key_block},
    suite::Part,
};

/// Bytes of Rnd1, which is a TDES key.
pub const RND1: usize = 24;
/// Bytes of Rnd2.
pub const RND2: usize = 8;

/// What a terminal answers a KLD with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Randoms {
    /// Rnd1 ‖ Rnd2 under AcquireWCRT's key (DF10): as long as an RSA modulus.
    pub c_rnd1_rnd2: Vec<u8>,
}

impl Part for Randoms {
    fn read(fields: &Fields) -> Result<Randoms, Malformed> {
        Ok(Randoms { c_rnd1_rnd2: as_long_as_a_modulus(fields, Tag::C_RND1_RND2)? })
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::C_RND1_RND2, &self.c_rnd1_rnd2)
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
        Ok(Part::read(&expect(frame, MessageType::KldKey)?)?)
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when it fits into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::KldKey, |fields| self.push(fields))
    }
}

impl Part for KldKey {
    fn read(fields: &Fields) -> Result<KldKey, Malformed> {
        Ok(KldKey { c_ctmk_rnd2: as_long_as_a_modulus(fields, Tag::C_CTMK_RND2)? })
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::C_CTMK_RND2, &self.c_ctmk_rnd2)
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
        usage(&self.block)
    }
}

impl Accept<Tdes> {
    /// Rnd1 ‖ Rnd2 under the certificate's key, for the HSM.
    pub fn c_rnd1_rnd2(&self) -> &[u8] {
        &self.answer().c_rnd1_rnd2
    }

    /// The HSM does not take C_rnd1_rnd2, or the Rnd1 in it: 0002.
    pub fn randoms_refused(self, why: String) -> Fault {
        Reason::RandomsRefused { why }.into()
    }

    /// Gives KLD_KEY with what the HSM signed for [`Accept::context`]. The key must be in the run's inventory before.
    /// `kcv` is its check value, which does not travel here: KEY_CONFIRM shows that the block was opened.
    ///
    /// # Errors
    /// 0001 when C_ctmk_rnd2 is as long as no RSA modulus, or for a check value of another suite.
    pub fn deliver(self, c_ctmk_rnd2: &[u8], kcv: Kcv) -> Result<(Frame, ExpectConfirm), Fault> {
        if !MODULUS.contains(&c_ctmk_rnd2.len()) {
            let why = "what the HSM signed is as long as no RSA modulus".to_string();
            return Err(Reason::Internal { why }.into());
        }
        self.give(&KldKey { c_ctmk_rnd2: c_ctmk_rnd2.to_owned() }, kcv)
    }
}
