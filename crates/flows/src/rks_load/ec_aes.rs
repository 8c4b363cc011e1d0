//! Suite 02: ephemeral keys, a signed RKS_CERT, and what DIK2 makes of both (3-hardened.md, "C").

use alloc::{borrow::ToOwned, vec::Vec};

use wire::{Fields, Malformed, MessageType, Proof as FrameProof, Tag};

use super::{
    Fault,
    rks::{Auth, Factor, Proof},
};
use crate::{
    Chain, EcAes, ProtocolError,
    suite::{self, Confirmation, Ephemeral, Hole, Part, Signature},
};

/// Bytes that AES-GCM adds to what it seals: its tag.
const GCM_TAG: usize = 16;
/// Most bytes of a diversification factor; the fewest is one (2-wire.md section 2, DF23).
const MAX_FACTOR: usize = 32;

/// Ephemeral key, nonce and signature over RKS_AUTH and RKS_CERT (DF13, DF14, DF16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOpening {
    /// DF13 and DF14.
    pub ephemeral: Ephemeral,
    /// DF16, of the certificate's key.
    pub signature: Signature,
}

impl Part for SignedOpening {
    fn read(fields: &Fields) -> Result<SignedOpening, Malformed> {
        Ok(SignedOpening { ephemeral: Part::read(fields)?, signature: Part::read(fields)? })
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        self.ephemeral.push(fields)?;
        self.signature.push(fields)
    }
}

/// DIK2's factor under K(factor) (DF19): as long as a factor and a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedFactor(pub Vec<u8>);

impl Part for SealedFactor {
    fn read(fields: &Fields) -> Result<SealedFactor, Malformed> {
        let tag = Tag::ENCRYPTED_DATA;
        let sealed = fields.required(tag)?;
        match sealed.len().checked_sub(GCM_TAG) {
            Some(1..=MAX_FACTOR) => Ok(SealedFactor(sealed.to_owned())),
            _ => Err(Malformed::FieldLength { tag, found: sealed.len() }),
        }
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::ENCRYPTED_DATA, &self.0)
    }
}

impl Auth<EcAes> {
    /// The device's ephemeral key and nonce, for the HSM.
    pub fn peer(&self) -> &Ephemeral {
        self.opening()
    }

    /// RKS_CERT with these certificates, in which the HSM makes key, nonce and signature.
    ///
    /// # Errors
    /// 0001 for certificates that fit into no frame.
    pub fn hole(&self, chain: &Chain) -> Result<Hole, Fault> {
        let mut fields = Fields::new();
        chain.push(&mut fields).map_err(ProtocolError::Unwritable)?;
        Ok(Hole::new(MessageType::RksCert, fields)?)
    }
}

impl Factor<EcAes> {
    /// The factor under K(factor) (DF19), for the HSM.
    pub fn df19(&self) -> &[u8] {
        &self.factor().0
    }

    /// What MAC_S is over: RKS_AUTH, RKS_CERT, RKS_FACTOR, and RKS_TOKEN without it.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn said_bare(&self) -> Result<Vec<u8>, Fault> {
        Ok(self.said().with(&suite::write::<EcAes>(MessageType::RksToken, |_| Ok(()))?))
    }
}

impl Proof<EcAes> {
    /// MAC_T, for the HSM to check.
    pub fn confirmation(&self) -> &Confirmation {
        self.proof()
    }

    /// What MAC_T is over: RKS_AUTH, RKS_CERT, RKS_FACTOR, RKS_TOKEN, and RKS_PROOF without it.
    ///
    /// # Errors
    /// None in practice: RKS_PROOF was read before.
    pub fn said_bare(&self) -> Result<Vec<u8>, Fault> {
        Ok(self.said_before().with(&self.frame().without(FrameProof::Confirmation)?))
    }
}
