//! The terminal's role. The device key is the PIN pad's; chain, dates, role and life cycle are the driver's.

use alloc::string::String;

use wire::{Device, Frame};

use super::{
    DevicePad, Fault, Reason,
    messages::{DeviceAsk, DeviceCertificate, DeviceRequest, Done},
};

/// DEVICE_ASK was read.
#[derive(Debug)]
pub struct Ask(());

impl Ask {
    /// Takes DEVICE_ASK.
    ///
    /// # Errors
    /// 0002, 0003.
    pub fn read(frame: &Frame) -> Result<Ask, Fault> {
        DeviceAsk::read(frame)?;
        Ok(Ask(()))
    }

    /// Gives DEVICE_REQUEST with the PIN pad's request.
    ///
    /// # Errors
    /// The PIN pad's refusal, 0008 outside production and repair; 0001 when its request fits into no frame.
    pub fn request<P: DevicePad>(
        self,
        pad: &mut P,
        device: &Device,
    ) -> Result<(Frame, ExpectCertificate), Fault> {
        let request = pad.device_request()?;
        let frame = DeviceRequest { device: device.clone(), request }.write()?;
        Ok((frame, ExpectCertificate(())))
    }
}

/// A request has left, now or on an earlier connection; DEVICE_CERTIFICATE is to come.
#[derive(Debug)]
pub struct ExpectCertificate(());

impl ExpectCertificate {
    /// A new connection to a terminal that gave its request on an earlier one: DEVICE_CERTIFICATE may come first. Whether
    /// there is a key for it, the PIN pad knows.
    pub fn resume() -> ExpectCertificate {
        ExpectCertificate(())
    }

    /// Takes DEVICE_CERTIFICATE.
    ///
    /// # Errors
    /// 0002, 0003; the station's ERROR.
    pub fn on_frame(self, frame: &Frame) -> Result<Offered, Fault> {
        Ok(Offered { certificate: DeviceCertificate::read(frame)? })
    }
}

/// DEVICE_CERTIFICATE was read. Nothing of it is believed yet: the driver checks role and, where it has a root for it, chain
/// and dates; the PIN pad that key and serial are its own.
#[derive(Debug)]
pub struct Offered {
    certificate: DeviceCertificate,
}

impl Offered {
    /// The certificate and its intermediates, for the driver to check.
    pub fn certificate(&self) -> &DeviceCertificate {
        &self.certificate
    }

    /// The certificate is refused: 000D.
    pub fn refused(self, why: String) -> Fault {
        Reason::CertificateRefused { why }.into()
    }

    /// Has the PIN pad install it, and gives DONE when it is on its disk.
    ///
    /// # Errors
    /// 000D for a certificate of another key or serial; the PIN pad's refusal, 0008 outside production and repair.
    pub fn install<P: DevicePad>(self, pad: &mut P) -> Result<Frame, Fault> {
        let DeviceCertificate { leaf, intermediates } = &self.certificate;
        pad.install_device_certificate(leaf, intermediates).map_err(Reason::from)?;
        Ok(Done.write()?)
    }
}
