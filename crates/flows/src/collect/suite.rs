//! What a suite puts into COLLECT and COLLECTED.

use wire::{Fields, Malformed, Tag};

use crate::{
    EcAes, Suite, Tdes,
    loading::MODULUS,
    suite::{Part, Signature},
};
use alloc::{borrow::ToOwned, vec::Vec};

/// A suite of collecting.
pub trait CollectSuite: Suite {
    /// In COLLECT, beside the certificate: what makes this collection one of its own.
    type Nonce: Part;
    /// In COLLECTED, beside the sealed TK: who made it.
    type Maker: Part;

    /// Whether a TK may be sealed in so many bytes (DF09).
    fn seals_in(bytes: usize) -> bool;
}

impl CollectSuite for Tdes {
    type Nonce = ();
    type Maker = ();

    fn seals_in(bytes: usize) -> bool {
        MODULUS.contains(&bytes)
    }
}

impl CollectSuite for EcAes {
    type Nonce = CeremonyNonce;
    type Maker = DeviceProof;

    fn seals_in(bytes: usize) -> bool {
        bytes == SEALED_TK
    }
}

/// Bytes of DF09 in suite 02: HPKE's encapsulated point, TEK and AUK, the tag.
pub const SEALED_TK: usize = 65 + 64 + 16;

/// The nonce of a ceremony (DF14): one day, one station (3-hardened.md, "A, collecting").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CeremonyNonce(pub [u8; CeremonyNonce::LENGTH]);

impl CeremonyNonce {
    /// Its bytes.
    pub const LENGTH: usize = 32;
}

impl Part for CeremonyNonce {
    fn read(fields: &Fields) -> Result<CeremonyNonce, Malformed> {
        fields.exactly(Tag::NONCE).map(CeremonyNonce)
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::NONCE, &self.0)
    }
}

/// What shows which device made a TK: generation counter, device certificate and its signature (DF18, DF1A, DF16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceProof {
    /// DF18: which TK of this device it is, counted up from 1 for good.
    pub generation: u64,
    /// DF1A: the device certificate, X.509 DER.
    pub certificate: Vec<u8>,
    /// DF16: over COLLECT and COLLECTED, flow letter K.
    pub signature: Signature,
}

impl Part for DeviceProof {
    fn read(fields: &Fields) -> Result<DeviceProof, Malformed> {
        let tag = Tag::DEVICE_CERTIFICATE;
        let certificate = fields.required(tag)?;
        if certificate.is_empty() {
            return Err(Malformed::FieldLength { tag, found: 0 });
        }
        Ok(DeviceProof {
            generation: u64::from_be_bytes(fields.exactly(Tag::COUNTER)?),
            certificate: certificate.to_owned(),
            signature: Signature::read(fields)?,
        })
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::COUNTER, &self.generation.to_be_bytes())?;
        fields.push(Tag::DEVICE_CERTIFICATE, &self.certificate)?;
        self.signature.push(fields)
    }
}
