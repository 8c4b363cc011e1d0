//! Device certificates: one PIN pad, one key, one certificate in force (3-hardened.md, "Primitives").
//!
//! Whoever receives a device certificate believes that its key is in the PIN pad that its subject names. So the CA says
//! that of one key at a time, and never of one key for two PIN pads.

use pki::csr::Csr;
use pki::{Certificate, Role};

use super::log::Use;
use super::{Ca, Issued};
use crate::error::Error;

impl Ca {
    /// Issues the certificate of the device key that the PIN pad with this serial made. `request` comes from
    /// [`pki::csr::parse_and_verify`], so that its sender has the key; its subject must name this very serial as
    /// serialNumber. Valid for `days` days from `now` (unix seconds). The same key again is a renewal.
    ///
    /// # Errors
    /// [`Error::DeviceSerial`], [`Error::DeviceKeyTaken`], [`Error::DeviceCertified`]; as [`Ca::issue`].
    pub fn issue_device(
        &mut self,
        request: &Csr,
        pin_pad: &str,
        days: u32,
        now: i64,
    ) -> Result<Certificate, Error> {
        let found = request.subject.serial_number();
        if found != Some(pin_pad) {
            let found = found.unwrap_or("no serial number").to_owned();
            return Err(Error::DeviceSerial { found, wanted: pin_pad.to_owned() });
        }
        self.issue(request, Role::Device, days, now)
    }

    /// Refuses a key that is another PIN pad's, and a second key beside one whose certificate is in force.
    pub(super) fn check_device(&self, request: &Csr, now: i64) -> Result<(), Error> {
        let serial = request.subject.serial_number();
        let devices =
            || self.record().issued().iter().filter(|issued| issued.purpose == Use::Role(Role::Device));
        let of = |issued: &Issued| issued.certificate.subject().serial_number().map(str::to_owned);
        // Revoked or not: where a key was, it stays.
        let same_key = |issued: &&Issued| issued.certificate.spki_der() == request.spki;
        if let Some(other) = devices().filter(same_key).find(|issued| of(issued).as_deref() != serial) {
            return Err(Error::DeviceKeyTaken { pin_pad: of(other).unwrap_or_default() });
        }
        let in_force = |issued: &&Issued| issued.revoked.is_none() && now <= issued.certificate.not_after();
        let other_key = |issued: &&Issued| {
            of(issued).as_deref() == serial && issued.certificate.spki_der() != request.spki
        };
        match devices().filter(in_force).find(other_key) {
            None => Ok(()),
            Some(issued) => Err(Error::DeviceCertified {
                pin_pad: of(issued).unwrap_or_default(),
                serial: issued.certificate.serial_hex(),
            }),
        }
    }
}
