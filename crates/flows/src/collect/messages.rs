//! COLLECT and COLLECTED (2-wire.md section 3, types 51 and 52).

use alloc::{borrow::ToOwned, string::String, vec::Vec};

use wire::{Device, Fields, Frame, Malformed, MessageType, ModelId, Tag, VendorId};

use super::CollectSuite;
use crate::{
    Chain, ProtocolError, Tdes,
    chain::not_empty,
    refusal_record,
    suite::{self, Part},
};

pub use crate::chain::MAX_INTERMEDIATES;

/// COLLECT: station, KMS or MTMS → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collect<S: CollectSuite = Tdes> {
    /// The suite asked for (DF01), which may be one that this side has not.
    pub suite: wire::Suite,
    /// What protects TK on its way.
    pub key: CollectKey,
    /// What makes this collection one of its own.
    pub nonce: S::Nonce,
}

/// The public key that TK is to be encrypted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CollectKey {
    /// In a certificate (DF0C) with its intermediates (DF0D), nearest to it first; all X.509 DER.
    Certificate {
        /// The certificate.
        leaf: Vec<u8>,
        /// Those between it and the root.
        intermediates: Vec<Vec<u8>>,
    },
    /// Bare (DF12): SubjectPublicKeyInfo, DER. Only where the terminal's production settings allow it.
    BareKey(Vec<u8>),
}

impl From<Chain> for CollectKey {
    fn from(Chain { leaf, intermediates }: Chain) -> CollectKey {
        CollectKey::Certificate { leaf, intermediates }
    }
}

impl<S: CollectSuite> Collect<S> {
    /// Reads a COLLECT. Certificates are cut apart here and checked by the driver.
    ///
    /// # Errors
    /// When the frame is another message or malformed, has both a certificate and a bare key, or neither.
    pub fn read(frame: &Frame) -> Result<Collect<S>, ProtocolError> {
        let fields = S::read(frame, MessageType::Collect)?;
        let key =
            match (fields.get(Tag::CERTIFICATE), fields.get(Tag::INTERMEDIATES), fields.get(Tag::BARE_KEY)) {
                (Some(_), _, None) => Chain::read(&fields)?.into(),
                (None, None, Some(key)) => CollectKey::BareKey(not_empty(Tag::BARE_KEY, key)?.to_owned()),
                (None, None, None) => return Err(Malformed::MissingField { tag: Tag::CERTIFICATE }.into()),
                (None, Some(_), _) => return Err(Malformed::UnwantedField { tag: Tag::INTERMEDIATES }.into()),
                (Some(_), _, Some(_)) => return Err(Malformed::UnwantedField { tag: Tag::BARE_KEY }.into()),
            };
        Ok(Collect { suite: fields.suite()?, key, nonce: Part::read(&fields)? })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when the certificates fit into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        suite::write::<S>(MessageType::Collect, |fields| {
            fields.push(Tag::SUITE, &[self.suite.byte()])?;
            self.nonce.push(fields)?;
            match &self.key {
                CollectKey::Certificate { leaf, intermediates } => {
                    Chain { leaf: leaf.clone(), intermediates: intermediates.clone() }.push(fields)
                }
                CollectKey::BareKey(key) => fields.push(Tag::BARE_KEY, key),
            }
        })
    }
}

/// COLLECTED: terminal → who asked. Also what the station has when it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected<S: CollectSuite = Tdes> {
    /// Terminal and PIN pad (DF02, DF03).
    pub device: Device,
    /// The vendor (DF30), together with the model.
    pub vendor: Option<VendorId>,
    /// The model (DF31), together with the vendor.
    pub model: Option<ModelId>,
    /// Ctk_Pu (DF09): TK under the public key; in suite 01 as long as its modulus.
    pub ctk_pu: Vec<u8>,
    /// Who made it.
    pub maker: S::Maker,
    /// Records of refusals (FF23), as they came.
    pub refusals: Vec<Fields>,
}

impl<S: CollectSuite> Collected<S> {
    /// Reads a COLLECTED.
    ///
    /// # Errors
    /// When the frame is another message or malformed, or has a vendor without a model or the reverse.
    pub fn read(frame: &Frame) -> Result<Collected<S>, ProtocolError> {
        let fields = S::read(frame, MessageType::Collected)?;
        let (vendor, model) = (fields.vendor()?, fields.model()?);
        match (&vendor, &model) {
            (Some(_), None) => return Err(Malformed::MissingField { tag: Tag::MODEL_ID }.into()),
            (None, Some(_)) => return Err(Malformed::MissingField { tag: Tag::VENDOR_ID }.into()),
            (Some(_), Some(_)) | (None, None) => {}
        }
        Ok(Collected {
            device: fields.device()?,
            vendor,
            model,
            ctk_pu: not_empty(Tag::CTK_PU, fields.required(Tag::CTK_PU)?)?.to_owned(),
            maker: Part::read(&fields)?,
            refusals: refusal_record::read(&fields)?,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when it fits into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        suite::write::<S>(MessageType::Collected, |fields| {
            fields.push_device(&self.device)?;
            if let Some(vendor) = &self.vendor {
                fields.push(Tag::VENDOR_ID, vendor.as_bytes())?;
            }
            if let Some(model) = &self.model {
                fields.push(Tag::MODEL_ID, model.as_bytes())?;
            }
            fields.push(Tag::CTK_PU, &self.ctk_pu)?;
            self.maker.push(fields)?;
            refusal_record::push(fields, &self.refusals)
        })
    }

    /// The fingerprint that station, terminal display and KMS show: 20 upper-case hex digits.
    pub fn fingerprint(&self) -> String {
        wire::fingerprint(self.device.sn(), &self.ctk_pu)
    }
}
