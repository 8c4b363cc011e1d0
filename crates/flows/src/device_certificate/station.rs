//! The role of the station or KLD. Which terminals it certifies, and how request and certificate travel to and from the CA,
//! is its driver's.

use alloc::{string::String, vec::Vec};

use wire::{Device, Frame};

use super::{
    Fault, Reason,
    messages::{DeviceAsk, DeviceCertificate, DeviceRequest, Done},
};

/// A certification that has not begun.
#[derive(Debug, Default)]
pub struct Start;

impl Start {
    /// The start of the role.
    pub fn new() -> Start {
        Start
    }

    /// Begins: gives DEVICE_ASK.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn begin(self) -> Result<(Frame, ExpectRequest), Fault> {
        Ok((DeviceAsk.write()?, ExpectRequest(())))
    }
}

/// DEVICE_ASK has left; DEVICE_REQUEST is to come.
#[derive(Debug)]
pub struct ExpectRequest(());

impl ExpectRequest {
    /// Takes DEVICE_REQUEST.
    ///
    /// # Errors
    /// 0002, 0003; the terminal's ERROR as [`ProtocolError::Peer`](crate::ProtocolError::Peer) with its code and text.
    pub fn on_frame(self, frame: &Frame) -> Result<Requested, Fault> {
        Ok(Requested { asked: DeviceRequest::read(frame)? })
    }
}

/// DEVICE_REQUEST was read. The connection may end here: the terminal keeps its key, and gives a request for it to the next
/// DEVICE_ASK, when the certificate is there.
#[derive(Debug)]
pub struct Requested {
    asked: DeviceRequest,
}

impl Requested {
    /// Terminal and PIN pad, as they call themselves.
    pub fn device(&self) -> &Device {
        &self.asked.device
    }

    /// PKCS #10, DER: for the driver to check that its signature is its own key's and its serialNumber this PIN pad's.
    pub fn request(&self) -> &[u8] {
        &self.asked.request
    }

    /// This terminal is not on the list: 0004.
    pub fn unknown_terminal(self) -> Fault {
        Reason::UnknownTerminal { sn: self.asked.device.sn().clone() }.into()
    }

    /// The request is not one of this PIN pad: 0002.
    pub fn request_refused(self, why: String) -> Fault {
        Reason::RequestRefused { why }.into()
    }

    /// The certificate at hand is not of the key in the request: 0008.
    pub fn other_certificate(self, why: String) -> Fault {
        Reason::OtherCertificate { why }.into()
    }

    /// Gives DEVICE_CERTIFICATE with the certificate that the CA made, X.509 DER, its intermediates nearest to it first.
    ///
    /// # Errors
    /// 0001 for certificates that fit into no frame.
    pub fn certify(self, leaf: Vec<u8>, intermediates: Vec<Vec<u8>>) -> Result<(Frame, ExpectDone), Fault> {
        let frame = DeviceCertificate { leaf, intermediates }.write()?;
        Ok((frame, ExpectDone { device: self.asked.device }))
    }
}

/// DEVICE_CERTIFICATE has left; DONE is to come.
#[derive(Debug)]
pub struct ExpectDone {
    device: Device,
}

impl ExpectDone {
    /// Takes DONE: the PIN pad has the certificate on its disk. Gives which terminal it is.
    ///
    /// # Errors
    /// 0002, 0003; the terminal's ERROR, 000D among them.
    pub fn on_frame(self, frame: &Frame) -> Result<Device, Fault> {
        Done::read(frame)?;
        Ok(self.device)
    }
}
