//! Suite 01: AT ‖ TK1 under DIK2, and TK2 under the certificate's key (2-wire.md section 4, flow C).

use alloc::{string::String, vec::Vec};

use wire::{Fields, Frame, Malformed, MessageType, Tag};

use super::{
    Fault,
    rks::{Auth, ExpectFactor, ExpectProof, Factor, Proof},
};
use crate::{
    Chain, ProtocolError, Tdes,
    fault::{expect, write},
    loading::{as_long_as_a_modulus, key_block},
    suite::Part,
};

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
        Ok(Part::read(&expect(frame, MessageType::RksFactor)?)?)
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when it fits into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::RksFactor, |fields| self.push(fields))
    }
}

impl Part for RksFactor {
    fn read(fields: &Fields) -> Result<RksFactor, Malformed> {
        Ok(RksFactor { factor_ciphertext: as_long_as_a_modulus(fields, Tag::FACTOR_CIPHERTEXT)? })
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::FACTOR_CIPHERTEXT, &self.factor_ciphertext)
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
        Ok(Part::read(&expect(frame, MessageType::RksToken)?)?)
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] for a block that no frame can carry.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::RksToken, |fields| self.push(fields))
    }
}

impl Part for RksToken {
    fn read(fields: &Fields) -> Result<RksToken, Malformed> {
        Ok(RksToken { at_tk1: key_block(fields, Tag::AT_TK1)? })
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::AT_TK1, self.at_tk1.as_bytes())
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
        Ok(Part::read(&expect(frame, MessageType::RksProof)?)?)
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when it fits into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::RksProof, |fields| self.push(fields))
    }
}

impl Part for RksProof {
    fn read(fields: &Fields) -> Result<RksProof, Malformed> {
        Ok(RksProof { proof_ciphertext: as_long_as_a_modulus(fields, Tag::AT_TK2_TK_SHA2)? })
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::AT_TK2_TK_SHA2, &self.proof_ciphertext)
    }
}

impl Auth<Tdes> {
    /// Gives RKS_CERT with the RKS's work certificate, to known devices and strangers alike.
    ///
    /// # Errors
    /// 0001 for certificates that fit into no frame.
    pub fn certificate(
        self,
        leaf: Vec<u8>,
        intermediates: Vec<Vec<u8>>,
    ) -> Result<(Frame, ExpectFactor), Fault> {
        self.answer(Chain { leaf, intermediates }, ())
    }
}

impl Factor<Tdes> {
    /// The factor under the certificate's key (DF20), for the HSM.
    pub fn df20(&self) -> &[u8] {
        &self.factor().factor_ciphertext
    }

    /// Gives RKS_TOKEN with the block that the HSM made for [`Factor::context`].
    ///
    /// # Errors
    /// 0001 for a block that fits into no frame.
    pub fn token(self, block: String) -> Result<(Frame, ExpectProof), Fault> {
        self.answer(&RksToken { at_tk1: block })
    }
}

impl Proof<Tdes> {
    /// AT ‖ TK2 ‖ SHA-256(TK) under the certificate's key (DF22), for the HSM.
    pub fn df22(&self) -> &[u8] {
        &self.proof().proof_ciphertext
    }
}
