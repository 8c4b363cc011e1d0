//! A station certifies the device key (3-hardened.md, "Primitives").

use flows::device_certificate::{
    Fault, Reason,
    terminal::{Ask, ExpectCertificate},
};
use pki::{Certificate, CertificateRefusal, KeyFamily, Role};
use wire::Frame;

use super::{Ended, Event, Line};
use crate::certificate::{self, CERTIFYING};
use crate::device::DeviceState;
use crate::{PinPad, Terminal};

/// Answers DEVICE_ASK with the PIN pad's request. DEVICE_CERTIFICATE may come on this connection or on a later one.
pub(super) fn ask<P: PinPad>(
    terminal: &mut Terminal<P>,
    line: &mut Line<'_>,
    frame: &Frame,
) -> Result<Event, Ended> {
    let device = terminal.device().clone();
    let (frame, _) = Ask::read(frame)?.request(&mut terminal.pad, &device)?;
    line.link.send(&frame)?;
    Ok(Event::DeviceKeyAsked)
}

/// Checks DEVICE_CERTIFICATE (000D), then the PIN pad checks that key and serial are its own (000D) and that its state allows
/// it (0008).
pub(super) fn offered<P: PinPad>(
    terminal: &mut Terminal<P>,
    line: &mut Line<'_>,
    frame: &Frame,
) -> Result<Event, Ended> {
    let offered = ExpectCertificate::resume().on_frame(frame)?;
    let at = terminal.time().map_err(|error| Fault::from(Reason::Internal { why: error.to_string() }))?;
    let (leaf, above) = (&offered.certificate().leaf, &offered.certificate().intermediates);
    if let Err(refusal) = check(leaf, above, &terminal.device, at) {
        let text = certificate::text(&refusal, CERTIFYING);
        terminal.pad.refuse("certificate", &text);
        return Err(Ended::of(&offered.refused(refusal.to_string()), Some(text)));
    }
    line.link.send(&offered.install(&mut terminal.pad)?)?;
    Ok(Event::DeviceCertified)
}

/// Chain, dates and role, where a root in this terminal may issue device certificates; else the role alone: what the
/// certificate is worth is for whoever receives it to say, and most terminals have no root for it.
fn check(leaf: &[u8], above: &[Vec<u8>], device: &DeviceState, at: i64) -> Result<(), CertificateRefusal> {
    let trust = &device.trust;
    if trust.roots().any(|root| trust.allows(root, Role::Device)) {
        return certificate::verify_of(KeyFamily::P256, leaf, above, |_| Role::Device, device, at).map(drop);
    }
    let leaf = Certificate::from_der(leaf)?;
    let subject = || leaf.subject().to_string();
    match leaf.role() {
        Some(Role::Device) => Ok(()),
        Some(found) => Err(CertificateRefusal::WrongRole { subject: subject(), wanted: Role::Device, found }),
        None => Err(CertificateRefusal::NoRole { subject: subject() }),
    }
}
