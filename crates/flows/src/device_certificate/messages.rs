//! The messages of a certification, types 57 to 59. They exist in suite 02 alone, and are laid out as it lays out messages.

use alloc::{borrow::ToOwned, vec::Vec};

use wire::{Device, Frame, MessageType, Tag};

use crate::{
    EcAes, ProtocolError, Suite as _,
    chain::{not_empty, split_der},
    suite::write,
};

pub use crate::Done;

/// DEVICE_ASK, which carries nothing: station or KLD → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAsk;

impl DeviceAsk {
    /// Reads a DEVICE_ASK.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<DeviceAsk, ProtocolError> {
        EcAes::read(frame, MessageType::DeviceAsk).map(|_| DeviceAsk)
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write::<EcAes>(MessageType::DeviceAsk, |_| Ok(()))
    }
}

/// DEVICE_REQUEST: terminal → station or KLD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Terminal and PIN pad (DF02, DF03).
    pub device: Device,
    /// PKCS #10, DER, of the device key (DF50). Believed by nobody: the CA checks its signature.
    pub request: Vec<u8>,
}

impl DeviceRequest {
    /// Reads a DEVICE_REQUEST.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<DeviceRequest, ProtocolError> {
        let fields = EcAes::read(frame, MessageType::DeviceRequest)?;
        let tag = Tag::CERTIFICATION_REQUEST;
        let request = not_empty(tag, fields.required(tag)?)?.to_owned();
        Ok(DeviceRequest { device: fields.device()?, request })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when the request fits into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write::<EcAes>(MessageType::DeviceRequest, |fields| {
            fields.push_device(&self.device)?;
            fields.push(Tag::CERTIFICATION_REQUEST, &self.request)
        })
    }
}

/// DEVICE_CERTIFICATE: station or KLD → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCertificate {
    /// The device certificate (DF1A), X.509 DER.
    pub leaf: Vec<u8>,
    /// Those between it and its root (DF0D), nearest to it first.
    pub intermediates: Vec<Vec<u8>>,
}

impl DeviceCertificate {
    /// Reads a DEVICE_CERTIFICATE. Certificates are cut apart here and checked by the driver.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<DeviceCertificate, ProtocolError> {
        let fields = EcAes::read(frame, MessageType::DeviceCertificate)?;
        let tag = Tag::DEVICE_CERTIFICATE;
        Ok(DeviceCertificate {
            leaf: not_empty(tag, fields.required(tag)?)?.to_owned(),
            intermediates: split_der(fields.get(Tag::INTERMEDIATES).unwrap_or_default())?,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when the certificates fit into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write::<EcAes>(MessageType::DeviceCertificate, |fields| {
            fields.push(Tag::DEVICE_CERTIFICATE, &self.leaf)?;
            if self.intermediates.is_empty() {
                return Ok(());
            }
            fields.push(Tag::INTERMEDIATES, &self.intermediates.concat())
        })
    }
}
