//! Suite 02: ephemeral keys, and both sides sign (3-hardened.md, "B").

use alloc::{borrow::ToOwned, string::String, vec::Vec};

use wire::{Device, Fields, Frame, Malformed, MessageType, Proof, Tag};

use super::{
    Fault, Reason,
    kld::Accept,
    messages::{MAX_FACTOR, USAGE_DIK2, usage},
};
use crate::{
    EcAes, FlowLetter, ProtocolError,
    loading::key_block,
    suite::{self, Ephemeral, Part, Signature},
};

/// What a terminal answers a KLD with (DF13, DF14, DF16, DF1A).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAnswer {
    /// DF13 and DF14.
    pub ephemeral: Ephemeral,
    /// DF1A: the device certificate, X.509 DER.
    pub certificate: Vec<u8>,
    /// DF16: the device's, over KLD_CONNECT and KLD_ACCEPT.
    pub signature: Signature,
}

impl DeviceAnswer {
    /// The KLD_ACCEPT that a device signs: as it will be, without its signature.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] for a certificate that fits into no frame.
    pub fn bare(device: &Device, ephemeral: &Ephemeral, certificate: &[u8]) -> Result<Frame, ProtocolError> {
        suite::write::<EcAes>(MessageType::KldAccept, |fields| {
            fields.push_device(device)?;
            ephemeral.push(fields)?;
            fields.push(Tag::DEVICE_CERTIFICATE, certificate)
        })
    }
}

impl Part for DeviceAnswer {
    fn read(fields: &Fields) -> Result<DeviceAnswer, Malformed> {
        let tag = Tag::DEVICE_CERTIFICATE;
        let certificate = fields.required(tag)?.to_owned();
        if certificate.is_empty() {
            return Err(Malformed::FieldLength { tag, found: 0 });
        }
        Ok(DeviceAnswer { ephemeral: Part::read(fields)?, certificate, signature: Part::read(fields)? })
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        self.ephemeral.push(fields)?;
        self.signature.push(fields)?;
        fields.push(Tag::DEVICE_CERTIFICATE, &self.certificate)
    }
}

/// KLD_KEY: KLD → terminal. The block's usage says what is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedKey {
    /// The diversification factor (DF23), 1–32 bytes: there exactly with a DIK2.
    pub factor: Option<Vec<u8>>,
    /// The text of the key block under the flow's own key (DF40, in the one FF21).
    pub block: String,
    /// DF16: the KLD's, over KLD_CONNECT, KLD_ACCEPT and this message.
    pub signature: Signature,
}

impl SignedKey {
    /// What the block says that it holds: `K1` for a TMK, `11` for a DMK, `12` for a DIK2.
    pub fn usage(&self) -> Option<&str> {
        usage(&self.block)
    }

    fn factor_fits(&self) -> Result<(), Malformed> {
        match (self.usage() == Some(USAGE_DIK2), &self.factor) {
            (true, None) => Err(Malformed::MissingField { tag: Tag::FACTOR }),
            (false, Some(_)) => Err(Malformed::UnwantedField { tag: Tag::FACTOR }),
            (true, Some(factor)) if !(1..=MAX_FACTOR).contains(&factor.len()) => {
                Err(Malformed::FieldLength { tag: Tag::FACTOR, found: factor.len() })
            }
            (true, Some(_)) | (false, None) => Ok(()),
        }
    }
}

impl Part for SignedKey {
    fn read(fields: &Fields) -> Result<SignedKey, Malformed> {
        let tag = Tag::KEY_ENTRY;
        let mut entries = fields.templates(tag);
        let entry = entries.next().ok_or(Malformed::MissingField { tag })?;
        if entries.next().is_some() || entry.len() != 1 {
            return Err(Malformed::Template { tag });
        }
        let key = SignedKey {
            factor: fields.get(Tag::FACTOR).map(<[u8]>::to_vec),
            block: key_block(entry, Tag::KEY_BLOCK)?,
            signature: Part::read(fields)?,
        };
        key.factor_fits().map(|()| key)
    }

    /// A factor without a DIK2, or a DIK2 without one, is not written.
    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        self.factor_fits()?;
        if let Some(factor) = &self.factor {
            fields.push(Tag::FACTOR, factor)?;
        }
        let mut entry = Fields::new();
        entry.push(Tag::KEY_BLOCK, self.block.as_bytes())?;
        fields.push_template(Tag::KEY_ENTRY, entry)?;
        self.signature.push(fields)
    }
}

impl Accept<EcAes> {
    /// The terminal's ephemeral key and nonce, for the HSM.
    pub fn peer(&self) -> &Ephemeral {
        &self.answer().ephemeral
    }

    /// KLD_ACCEPT without the device's signature, for the HSM.
    ///
    /// # Errors
    /// None in practice: KLD_ACCEPT was read before.
    pub fn accept_bare(&self) -> Result<Frame, Fault> {
        Ok(self.accept().without(Proof::Signature)?)
    }

    /// What the device signed: the transcript string of KLD_CONNECT, and KLD_ACCEPT without the signature. Whoever checks
    /// [`DeviceAnswer::signature`] hashes it with SHA-256.
    ///
    /// # Errors
    /// None in practice: KLD_ACCEPT was read before.
    pub fn signed(&self) -> Result<Vec<u8>, Fault> {
        Ok(FlowLetter::LocalLoad.transcript(&[self.connect(), &self.accept_bare()?]))
    }

    /// The device certificate is refused: 000D. Chain, dates, role or revocation; or its serial is not the one that
    /// KLD_ACCEPT names as the PIN pad's.
    pub fn certificate_refused(self, why: String) -> Fault {
        Reason::CertificateRefused { why }.into()
    }

    /// The device's signature is wrong: 0006.
    pub fn not_proven(self) -> Fault {
        Reason::DeviceNotProven.into()
    }

    /// The HSM does not take the terminal's ephemeral key: 0002.
    pub fn point_refused(self, why: String) -> Fault {
        Reason::PointRefused { why }.into()
    }
}
