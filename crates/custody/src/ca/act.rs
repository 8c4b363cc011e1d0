//! What an open CA does: issue, revoke, publish the list.

use pki::csr::Csr;
use pki::issue::{self, Revoked, ServerName};
use pki::{Certificate, Crl, KeyFamily, Name, RevocationReason, Role};

use super::log::{Act, Use};
use super::{CLOCK_SKEW, CRL_FILE, Ca, DEFAULT_CRL_DAYS, issued_path, validity};
use crate::error::Error;
use crate::files::{self, Mode};

/// Seconds of a day.
const DAY: i64 = 86_400;

impl Ca {
    /// Issues a certificate of this role for a request. A request in DER becomes a [`Csr`] by
    /// [`pki::csr::parse_and_verify`]; who has the public key by another way makes the `Csr` of name and key.
    /// It is valid for `days` days from `now` (unix seconds). The kind of key says what a role's certificate is for: the
    /// KMS's P-256 key is for key agreement, its RSA key for encryption. For devices see [`Ca::issue_device`].
    ///
    /// # Errors
    /// [`Error::KeyInUse`] when the key has a certificate for another use; for a device [`Error::DeviceKeyTaken`] and
    /// [`Error::DeviceCertified`]; [`Error::Pki`], also for a key of another family than the CA's; [`Error::Io`].
    pub fn issue(&mut self, request: &Csr, role: Role, days: u32, now: i64) -> Result<Certificate, Error> {
        self.check_one_use(&request.spki, Use::Role(role))?;
        if role == Role::Device {
            self.check_device(request, now)?;
        }
        let certificate =
            issue::leaf(&self.issuer()?, role, &request.subject, &request.spki, validity(now, days))?;
        self.give_out(certificate, Use::Role(role), now)
    }

    /// Issues the MTMS's certificate for key agreement, for the P-256 key of its HSM: in suite 02 the MTMS collects TKs with
    /// one key and signs batches with another, and each has a certificate of the role `.6`. RSA has one usage for both, and
    /// then this is [`Ca::issue`].
    ///
    /// # Errors
    /// As [`Ca::issue`].
    pub fn issue_mtms_agreement(&mut self, request: &Csr, days: u32, now: i64) -> Result<Certificate, Error> {
        if self.family() == KeyFamily::Rsa {
            return self.issue(request, Role::Mtms, days, now);
        }
        self.check_one_use(&request.spki, Use::MtmsAgreement)?;
        let certificate = issue::agreement_leaf(
            &self.issuer()?,
            Role::Mtms,
            &request.subject,
            &request.spki,
            validity(now, days),
        )?;
        self.give_out(certificate, Use::MtmsAgreement, now)
    }

    /// Issues an intermediate CA's certificate with room for `path_len` CAs below it.
    ///
    /// # Errors
    /// As [`Ca::issue`].
    pub fn intermediate(
        &mut self,
        request: &Csr,
        path_len: u8,
        days: u32,
        now: i64,
    ) -> Result<Certificate, Error> {
        self.check_one_use(&request.spki, Use::Intermediate)?;
        let certificate = issue::intermediate(
            &self.issuer()?,
            &request.subject,
            &request.spki,
            validity(now, days),
            path_len,
        )?;
        self.give_out(certificate, Use::Intermediate, now)
    }

    /// Issues a TLS server's certificate for these names.
    ///
    /// # Errors
    /// As [`Ca::issue`].
    pub fn tls_server(
        &mut self,
        subject: &Name,
        spki: &[u8],
        names: &[ServerName],
        days: u32,
        now: i64,
    ) -> Result<Certificate, Error> {
        self.check_one_use(spki, Use::TlsServer)?;
        let certificate = issue::tls_server(&self.issuer()?, subject, spki, validity(now, days), names)?;
        self.give_out(certificate, Use::TlsServer, now)
    }

    /// Issues a TLS client's certificate, such as a POSP's: the common name of `subject` is what a server knows it by.
    ///
    /// # Errors
    /// As [`Ca::issue`].
    pub fn tls_client(
        &mut self,
        subject: &Name,
        spki: &[u8],
        days: u32,
        now: i64,
    ) -> Result<Certificate, Error> {
        self.check_one_use(spki, Use::TlsClient)?;
        let certificate = issue::tls_client(&self.issuer()?, subject, spki, validity(now, days))?;
        self.give_out(certificate, Use::TlsClient, now)
    }

    /// Revokes a certificate by its serial number (hex, as [`Certificate::serial_hex`] gives it) and publishes
    /// a new list, valid for [`DEFAULT_CRL_DAYS`].
    ///
    /// # Errors
    /// [`Error::UnknownSerial`], [`Error::AlreadyRevoked`], [`Error::Pki`], [`Error::Io`]. When the list alone
    /// could not be written, the revocation stands in the log: [`Ca::crl`] writes the list.
    pub fn revoke(&mut self, serial: &str, reason: RevocationReason, now: i64) -> Result<Crl, Error> {
        let wanted = serial.trim().replace(':', "").to_uppercase();
        let found = self.record().issued().iter().find(|issued| issued.certificate.serial_hex() == wanted);
        let Some(issued) = found else { return Err(Error::UnknownSerial { serial: wanted }) };
        if issued.revoked.is_some() {
            return Err(Error::AlreadyRevoked { serial: wanted });
        }
        self.log.append(now, Act::Revoke { serial: wanted, reason: reason.word().to_owned() })?;
        self.crl(DEFAULT_CRL_DAYS, now)
    }

    /// Publishes a new revocation list under the next number, to be renewed within `days` days.
    ///
    /// # Errors
    /// [`Error::Pki`], [`Error::Io`].
    pub fn crl(&mut self, days: u32, now: i64) -> Result<Crl, Error> {
        let revoked: Vec<Revoked> = self
            .record()
            .issued()
            .iter()
            .filter_map(|issued| {
                let revocation = issued.revoked?;
                let serial = issued.certificate.serial().to_vec();
                Some(Revoked { serial, when: revocation.when, reason: revocation.reason })
            })
            .collect();
        let number = self.record().crl_number().saturating_add(1);
        let this_update = now.saturating_sub(CLOCK_SKEW).max(0);
        let next_update = now.saturating_add(i64::from(days).saturating_mul(DAY));
        let crl = issue::build_crl(&self.issuer()?, number, this_update, next_update, &revoked)?;
        self.log.append(now, Act::crl(&crl))?;
        files::replace(&self.dir.join(CRL_FILE), crl.pem().as_bytes(), Mode::Public)?;
        Ok(crl)
    }

    /// One key, one use: a key that has a certificate of another kind gets none.
    fn check_one_use(&self, spki: &[u8], wanted: Use) -> Result<(), Error> {
        if spki == self.root.spki_der() {
            return Err(Error::KeyInUse { found: "root".into(), serial: self.root.serial_hex() });
        }
        let other = self
            .record()
            .issued()
            .iter()
            .find(|issued| issued.certificate.spki_der() == spki && issued.purpose != wanted);
        match other {
            Some(issued) => Err(Error::KeyInUse {
                found: issued.purpose.to_string(),
                serial: issued.certificate.serial_hex(),
            }),
            None => Ok(()),
        }
    }

    /// First the log, then the file, then the caller.
    fn give_out(&mut self, certificate: Certificate, purpose: Use, now: i64) -> Result<Certificate, Error> {
        let number = self.record().issued().len() as u64 + 1;
        self.log.append(now, Act::issue(number, purpose, &certificate))?;
        files::create(&issued_path(&self.dir, number), certificate.pem().as_bytes(), Mode::Public)?;
        Ok(certificate)
    }
}
