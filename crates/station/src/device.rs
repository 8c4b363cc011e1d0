//! Certifying device keys over the cable: a PIN pad's request goes to the CA, its certificate comes back (3-hardened.md,
//! "Primitives"; `flows::device_certificate`).
//!
//! What travels is public, and a PIN pad installs no certificate but its own key's: so nothing here needs a card. Who is
//! certified is decided where the CA signs, under the serial that a person read from the plate. The CA may take days: the
//! terminal keeps its key, and is asked again when the certificate is there.

use flows::{
    ProtocolError,
    device_certificate::{
        Reason,
        station::{Requested, Start},
    },
};
use pki::{Certificate, CertificateRefusal, KeyFamily, Role, csr, csr::Csr};
use wire::{Device, ErrorCode, ErrorMessage, Frame, Serial};

use crate::{
    Checks, clock,
    link::{Link, LinkError},
};

/// A device key's request, whose signature and serial were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRequest {
    device: Device,
    der: Vec<u8>,
    csr: Csr,
}

impl DeviceRequest {
    /// Terminal and PIN pad.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// PKCS #10, PEM: for the CA (`keyferry ca issue --role device`).
    pub fn pem(&self) -> String {
        csr::to_pem(&self.der)
    }

    /// The same, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The name and key that it asks a certificate for.
    pub fn csr(&self) -> &Csr {
        &self.csr
    }
}

/// A device certificate that the station has checked before any terminal sees it.
#[derive(Debug, Clone)]
pub struct DeviceCertificate {
    leaf: Certificate,
    intermediates: Vec<Certificate>,
}

impl DeviceCertificate {
    /// Reads the certificate and those above it from PEM, and checks chain, dates, revocation and role (`.9`).
    ///
    /// # Errors
    /// [`DeviceFault::Certificate`].
    pub fn from_pem(text: &str, checks: &Checks) -> Result<DeviceCertificate, DeviceFault> {
        let refuse = |error: pki::Error| DeviceFault::Certificate(error.into());
        let mut all = Certificate::all_from_pem(text).map_err(refuse)?.into_iter();
        let none = || pki::Error::Malformed {
            what: "the device certificate",
            why: "the text holds no CERTIFICATE block".to_owned(),
        };
        let leaf = all.next().ok_or_else(|| refuse(none()))?;
        let chain: Vec<_> = all.collect();
        checks.verify(&leaf, &chain, Role::Device, clock::now()).map_err(DeviceFault::Certificate)?;
        let intermediates = chain.into_iter().filter(|link| !checks.trust.contains(link)).collect();
        Ok(DeviceCertificate { leaf, intermediates })
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.leaf
    }

    /// Whose it is: the PIN pad's serial in its subject.
    pub fn pin_pad(&self) -> Option<&str> {
        self.leaf.subject().serial_number()
    }
}

/// Why a terminal's device key was not certified. Its advice says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceFault {
    /// The certificate at hand is refused; no terminal was asked.
    #[error("the device certificate is refused, nothing was sent to a terminal: {0}")]
    Certificate(#[source] CertificateRefusal),
    /// No connection, silence, or a line that broke.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The terminal answered ERROR.
    #[error("the terminal refused: {0}")]
    Refused(ErrorMessage),
    /// An answer cannot be read, or came in the wrong order.
    #[error("its answer is refused: {0}")]
    Flow(#[source] Reason),
    /// The request is not one of a PIN pad with this serial.
    #[error("the request is refused: {why}")]
    Request {
        /// What is wrong with it.
        why: String,
    },
    /// Another serial answered than the one expected there.
    #[error("{found} answered where {expected} was expected")]
    OtherSerial {
        /// The one expected.
        expected: Serial,
        /// The one that answered.
        found: Serial,
    },
    /// The certificate is of another key or PIN pad; nothing was sent.
    #[error("the certificate is not this terminal's: {why}; nothing was sent")]
    OtherCertificate {
        /// In what it differs.
        why: String,
    },
}

impl DeviceFault {
    /// What the person at the station does next.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Certificate(_) => {
                "check the station's device root and its lists, and the certificate's dates"
            }
            Self::Link(LinkError::Unreachable(_)) => "check that it is on, listens, and is at this address",
            Self::Link(
                LinkError::NothingPlugged { .. } | LinkError::NoLine { .. } | LinkError::LineInUse { .. },
            ) => "plug the terminal in and name its port; end the other program that has it",
            Self::Link(_) => "check its cable or network, then try again: it keeps its key",
            Self::Refused(message) => match message.known_code() {
                Some(ErrorCode::NotPermittedNow) => {
                    "it is certified in production and repair only: see its state"
                }
                Some(ErrorCode::CertificateRefused) => {
                    "check its burnt-in device root and date against the certificate's chain and dates"
                }
                Some(ErrorCode::Malformed | ErrorCode::UnexpectedMessage) => {
                    "it does not know device certificates: update its software"
                }
                _ => "see the terminal's own display or log",
            },
            Self::Flow(_) => "check which version of the protocol it has",
            Self::Request { .. } => {
                "do not certify it: it asks for another name than its own, or has not the key"
            }
            Self::OtherSerial { .. } => {
                "check which terminal is at this address, and name the one on the order"
            }
            Self::OtherCertificate { .. } => "have this terminal's newest request certified, and bring that",
        }
    }
}

/// Asks a terminal for its device key's request. Its signature is the key's own, and its serialNumber is the PIN pad's that
/// the terminal names.
///
/// # Errors
/// [`DeviceFault`]; [`DeviceFault::advice`] says what to do next.
pub fn request(
    expected: Option<&Serial>,
    connect: impl FnOnce() -> Result<Link, LinkError>,
) -> Result<DeviceRequest, DeviceFault> {
    let (link, _, request) = ask(expected, connect)?;
    // The terminal keeps its key; the certificate comes on another connection.
    drop(link);
    Ok(request)
}

/// Brings a terminal the certificate of its device key. It is asked for its request first: nothing is sent to a terminal
/// whose key is another.
///
/// # Errors
/// [`DeviceFault`]; [`DeviceFault::advice`] says what to do next.
pub fn install(
    certificate: &DeviceCertificate,
    expected: Option<&Serial>,
    connect: impl FnOnce() -> Result<Link, LinkError>,
) -> Result<Device, DeviceFault> {
    let (mut link, requested, request) = ask(expected, connect)?;
    if let Some(why) = differs(certificate, &request) {
        link.end_with(requested.other_certificate(why.clone()).code);
        return Err(DeviceFault::OtherCertificate { why });
    }
    let der = |certificate: &Certificate| certificate.der().to_vec();
    let intermediates = certificate.intermediates.iter().map(der).collect();
    let (frame, expect_done) = match requested.certify(der(&certificate.leaf), intermediates) {
        Ok(next) => next,
        Err(fault) => return Err(ended(link, fault)),
    };
    let done = exchange(&mut link, &frame)?;
    expect_done.on_frame(&done).map_err(|fault| ended(link, fault))
}

/// DEVICE_ASK and its answer, checked.
fn ask(
    expected: Option<&Serial>,
    connect: impl FnOnce() -> Result<Link, LinkError>,
) -> Result<(Link, Requested, DeviceRequest), DeviceFault> {
    let (ask, expect_request) = Start::new().begin().map_err(|fault| DeviceFault::Flow(fault.reason))?;
    let mut link = connect()?;
    let frame = exchange(&mut link, &ask)?;
    let requested = match expect_request.on_frame(&frame) {
        Ok(requested) => requested,
        Err(fault) => return Err(ended(link, fault)),
    };
    let found = requested.device().sn().clone();
    if let Some(expected) = expected.filter(|expected| **expected != found) {
        link.end_with(requested.unknown_terminal().code);
        return Err(DeviceFault::OtherSerial { expected: expected.clone(), found });
    }
    match read(&requested) {
        Ok(request) => Ok((link, requested, request)),
        Err(why) => {
            link.end_with(requested.request_refused(why.clone()).code);
            Err(DeviceFault::Request { why })
        }
    }
}

/// The request, if it is one of this PIN pad.
fn read(requested: &Requested) -> Result<DeviceRequest, String> {
    let csr = csr::parse_and_verify(requested.request()).map_err(|error| error.to_string())?;
    match KeyFamily::of(&csr.spki) {
        Ok(KeyFamily::P256) => {}
        Ok(KeyFamily::Rsa) | Err(_) => return Err("its key is not P-256".to_owned()),
    }
    let pin_pad = requested.device().pin_pad();
    match csr.subject.serial_number() {
        Some(serial) if serial == pin_pad.as_str() => {}
        found => {
            let found = found.unwrap_or("no serial number");
            return Err(format!("it names {found}, and the PIN pad is {pin_pad}"));
        }
    }
    Ok(DeviceRequest { device: requested.device().clone(), der: requested.request().to_vec(), csr })
}

/// In what a certificate is not the one of this request.
fn differs(certificate: &DeviceCertificate, request: &DeviceRequest) -> Option<String> {
    let pin_pad = request.device.pin_pad();
    if certificate.pin_pad() != Some(pin_pad.as_str()) {
        let found = certificate.pin_pad().unwrap_or_default();
        return Some(format!("it is {found}'s, and the PIN pad is {pin_pad}"));
    }
    (certificate.leaf.spki_der() != request.csr.spki).then(|| "its key is another".to_owned())
}

/// Sends a frame and waits for its answer.
fn exchange(link: &mut Link, frame: &Frame) -> Result<Frame, LinkError> {
    link.send(frame)?;
    link.receive()
}

/// The end by a role's fault. The terminal's ERROR is not answered.
fn ended(link: Link, fault: flows::device_certificate::Fault) -> DeviceFault {
    match fault.reason {
        Reason::Protocol(ProtocolError::Peer(message)) => DeviceFault::Refused(message),
        reason => {
            link.end_with(fault.code);
            DeviceFault::Flow(reason)
        }
    }
}
