//! Making revocation lists.

use const_oid::db::rfc5280::{ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_NUMBER, ID_CE_CRL_REASONS};
use der::asn1::UintRef;
use der::{Decode, Encode};
use x509_cert::Version;
use x509_cert::crl::{RevokedCert, TbsCertList};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::{Issuer, extension, template::authority_key_id};
use crate::crl::{Crl, RevocationReason};
use crate::error::Error;
use crate::signed::{Signed, algorithm_of};
use crate::time;

const WHAT: &str = "the new revocation list";

/// A certificate to be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number: the magnitude, big-endian ([`crate::Certificate::serial`]).
    pub serial: Vec<u8>,
    /// Since when, unix seconds.
    pub when: i64,
    /// Why.
    pub reason: RevocationReason,
}

/// Makes a revocation list (RFC 5280 section 5.1) with this number, valid from `this_update` until
/// `next_update` (unix seconds). The caller keeps the numbers rising.
///
/// # Errors
/// [`Error::Request`] for dates that cannot be, [`Error::Malformed`] for an impossible serial number,
/// [`Error::Sign`] when the signer does not sign.
pub fn build_crl(
    issuer: &Issuer<'_>,
    number: u64,
    this_update: i64,
    next_update: i64,
    revoked: &[Revoked],
) -> Result<Crl, Error> {
    if next_update <= this_update {
        return Err(Error::Request("the revocation list would end before it begins".into()));
    }
    let bad = |error: der::Error| Error::malformed(WHAT, error);
    let mut entries = Vec::with_capacity(revoked.len());
    for entry in revoked {
        entries.push(RevokedCert {
            serial_number: SerialNumber::new(&entry.serial).map_err(bad)?,
            revocation_date: time::from_unix(entry.when)?,
            // RFC 5280 section 5.3.1: "unspecified" is said by leaving the reason out.
            crl_entry_extensions: match entry.reason {
                RevocationReason::Unspecified => None,
                reason => Some(vec![extension(ID_CE_CRL_REASONS, false, &reason.to_crl())?]),
            },
        });
    }
    let number = number.to_be_bytes();
    let number = UintRef::new(&number).map_err(bad)?;
    let tbs = TbsCertList {
        version: Version::V2,
        signature: AlgorithmIdentifierOwned::from_der(algorithm_of(issuer.key.spki_der())).map_err(bad)?,
        issuer: issuer.certificate.subject().to_rdns()?,
        this_update: time::from_unix(this_update)?,
        next_update: Some(time::from_unix(next_update)?),
        revoked_certificates: (!entries.is_empty()).then_some(entries),
        crl_extensions: Some(vec![
            extension(ID_CE_AUTHORITY_KEY_IDENTIFIER, false, &authority_key_id(issuer.certificate)?)?,
            extension(ID_CE_CRL_NUMBER, false, &number)?,
        ]),
    };
    let der = Signed::create(&tbs.to_der().map_err(bad)?, issuer.key)?;
    let crl = Crl::from_der(&der)?;
    crl.verify(issuer.certificate)?;
    Ok(crl)
}
