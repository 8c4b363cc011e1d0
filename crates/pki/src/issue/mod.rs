//! Making certificates and revocation lists (2-wire.md section 5). The issuer's private key stays behind a
//! [`Signer`].
//!
//! Every certificate is X.509 v3 with a random positive serial number of 16 bytes, critical basic constraints
//! and key usage, and key identifiers (RFC 7093 method 1). Whatever is made is read back and its signature
//! checked before it is given out, so that a faulty signer is found here.

mod list;
mod template;

use std::net::IpAddr;

use const_oid::db::rfc5280::{ID_KP_CLIENT_AUTH, ID_KP_SERVER_AUTH};
use der::asn1::Ia5String;
use der::flagset::FlagSet;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{KeyUsages, SubjectAltName};

use crate::certificate::Certificate;
use crate::error::Error;
use crate::key::{KeyFamily, Signer};
use crate::name::Name;
use crate::role::Role;

pub use list::{Revoked, build_crl};
pub(crate) use template::Template;
pub(crate) use template::extension;

/// Longest host name in a TLS certificate, in characters (RFC 1035 section 2.3.4).
const MAX_DNS_NAME: usize = 253;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// From when until when, both inclusive, in unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub not_before: i64,
    /// Last second.
    pub not_after: i64,
}

impl Validity {
    /// `days` days from `start` (unix seconds) on.
    #[must_use]
    pub fn days(start: i64, days: u32) -> Self {
        Self { not_before: start, not_after: start.saturating_add(i64::from(days) * DAY) }
    }
}

/// A CA: its certificate and the key that belongs to it.
#[derive(Clone, Copy)]
pub struct Issuer<'a> {
    certificate: &'a Certificate,
    key: &'a dyn Signer,
}

impl<'a> Issuer<'a> {
    /// Joins a CA's certificate with its key.
    ///
    /// # Errors
    /// [`Error::Request`] when the certificate is no CA's or has another public key.
    pub fn new(certificate: &'a Certificate, key: &'a dyn Signer) -> Result<Self, Error> {
        if !certificate.is_ca() {
            return Err(Error::Request(format!(
                "the certificate of {} is not a CA's: use the root's or an intermediate's",
                certificate.subject()
            )));
        }
        if certificate.spki_der() != key.spki_der() {
            return Err(Error::Request(format!(
                "the key does not belong to the certificate of {}: use the key that it was issued for",
                certificate.subject()
            )));
        }
        Ok(Self { certificate, key })
    }

    /// The CA's certificate.
    #[must_use]
    pub fn certificate(&self) -> &'a Certificate {
        self.certificate
    }
}

/// A name of a TLS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerName {
    /// A host name.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

impl std::str::FromStr for ServerName {
    type Err = Error;

    /// Reads an address if it is one, else a host name.
    fn from_str(text: &str) -> Result<Self, Error> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let ok = !text.is_empty()
            && text.len() <= MAX_DNS_NAME
            && text.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            });
        if ok {
            Ok(Self::Dns(text.to_owned()))
        } else {
            Err(Error::Request(format!("{text:?} is neither a host name nor an address")))
        }
    }
}

/// Makes a root: a certificate of `key` for itself, with room for `path_len` intermediates below it.
///
/// # Errors
/// [`Error::Key`] for a key that this suite does not use, [`Error::Request`] for dates that cannot be,
/// [`Error::Sign`] when the signer does not sign.
pub fn root(
    subject: &Name,
    key: &dyn Signer,
    validity: Validity,
    path_len: u8,
) -> Result<Certificate, Error> {
    finish(&root_template(subject, key, validity, path_len)?, key, None)
}

/// Makes a root as [`root`] does, marked as one for trials ([`crate::TRIAL_MARK`]).
///
/// # Errors
/// As [`root`].
pub fn trial_root(
    subject: &Name,
    key: &dyn Signer,
    validity: Validity,
    path_len: u8,
) -> Result<Certificate, Error> {
    let mut template = root_template(subject, key, validity, path_len)?;
    template.trial_mark()?;
    finish(&template, key, None)
}

fn root_template(
    subject: &Name,
    key: &dyn Signer,
    validity: Validity,
    path_len: u8,
) -> Result<Template, Error> {
    let mut template = Template::new(subject, subject, key.spki_der(), validity)?;
    template.ca(path_len)?;
    template.key_usage(ca_usage())?;
    template.subject_key_id()?;
    Ok(template)
}

/// Makes an intermediate CA for the key `spki` (SubjectPublicKeyInfo, DER).
///
/// # Errors
/// As [`root`]; [`Error::Request`] also when the issuer allows no CA below it or would expire earlier.
pub fn intermediate(
    issuer: &Issuer<'_>,
    subject: &Name,
    spki: &[u8],
    validity: Validity,
    path_len: u8,
) -> Result<Certificate, Error> {
    if let Some(allowed) = issuer.certificate.path_len()
        && path_len >= allowed
    {
        return Err(Error::Request(format!(
            "{} allows {allowed} CAs below it: an intermediate that allows {path_len} does not fit",
            issuer.certificate.subject()
        )));
    }
    let mut template = Template::new(issuer.certificate.subject(), subject, spki, validity)?;
    template.ca(path_len)?;
    template.key_usage(ca_usage())?;
    template.subject_key_id()?;
    template.authority_key_id(issuer.certificate)?;
    finish(&template, issuer.key, Some(issuer))
}

/// Makes a leaf of this role for the key `spki` (SubjectPublicKeyInfo, DER). A P-256 key of the MTMS is one for
/// signatures; for its other one see [`agreement_leaf`].
///
/// # Errors
/// As [`root`]; [`Error::Request`] also when the issuer would expire earlier or has another kind of key, when the role
/// has no keys of this kind, and for a device whose subject has no serial number ([`Name::device`]).
pub fn leaf(
    issuer: &Issuer<'_>,
    role: Role,
    subject: &Name,
    spki: &[u8],
    validity: Validity,
) -> Result<Certificate, Error> {
    let family = family(spki)?;
    let Some(usage) = role.key_usages(family).first().copied() else {
        return Err(Error::Request(format!(
            "no certificate of the role {role} has keys of the kind {family}"
        )));
    };
    leaf_with_usage(issuer, role, usage, subject, spki, validity)
}

/// Makes a leaf of this role whose P-256 key is for key agreement: the KMS's, or the MTMS's for collecting.
///
/// # Errors
/// As [`leaf`]; [`Error::Request`] also for a role that agrees on no keys.
pub fn agreement_leaf(
    issuer: &Issuer<'_>,
    role: Role,
    subject: &Name,
    spki: &[u8],
    validity: Validity,
) -> Result<Certificate, Error> {
    let usage = KeyUsages::KeyAgreement.into();
    if !role.key_usages(family(spki)?).contains(&usage) {
        return Err(Error::Request(format!("no certificate of the role {role} is for key agreement")));
    }
    leaf_with_usage(issuer, role, usage, subject, spki, validity)
}

fn leaf_with_usage(
    issuer: &Issuer<'_>,
    role: Role,
    usage: FlagSet<KeyUsages>,
    subject: &Name,
    spki: &[u8],
    validity: Validity,
) -> Result<Certificate, Error> {
    if role == Role::Device && subject.serial_number().is_none() {
        return Err(Error::Request(
            "a device certificate says in its subject which PIN pad it belongs to".into(),
        ));
    }
    let mut template = Template::new(issuer.certificate.subject(), subject, spki, validity)?;
    template.not_a_ca()?;
    template.key_usage(usage)?;
    template.extended_key_usage(true, vec![role.oid()])?;
    template.subject_key_id()?;
    template.authority_key_id(issuer.certificate)?;
    finish(&template, issuer.key, Some(issuer))
}

/// Makes a certificate for a TLS server: extended key usage serverAuth (not critical), the names as subject
/// alternative names, key usage digitalSignature and, for RSA, keyEncipherment. It has no role of 2-wire.md section 5.
///
/// # Errors
/// As [`leaf`]; [`Error::Request`] also without a name.
pub fn tls_server(
    issuer: &Issuer<'_>,
    subject: &Name,
    spki: &[u8],
    validity: Validity,
    names: &[ServerName],
) -> Result<Certificate, Error> {
    if names.is_empty() {
        return Err(Error::Request("a TLS server's certificate needs a host name or an address".into()));
    }
    let mut general_names = Vec::with_capacity(names.len());
    for name in names {
        general_names.push(match name {
            ServerName::Dns(name) => GeneralName::DnsName(
                Ia5String::new(name).map_err(|error| Error::malformed("the host name", error))?,
            ),
            ServerName::Ip(address) => GeneralName::from(*address),
        });
    }
    let usage = match family(spki)? {
        KeyFamily::Rsa => KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment,
        KeyFamily::P256 => KeyUsages::DigitalSignature.into(),
    };
    let mut template = Template::new(issuer.certificate.subject(), subject, spki, validity)?;
    template.not_a_ca()?;
    template.key_usage(usage)?;
    template.extended_key_usage(false, vec![ID_KP_SERVER_AUTH])?;
    template.push(false, &SubjectAltName(general_names))?;
    template.subject_key_id()?;
    template.authority_key_id(issuer.certificate)?;
    sign(&template, issuer.key, Some(issuer))
}

/// Makes a certificate for a TLS client, such as a POSP: extended key usage clientAuth (not critical), key usage
/// digitalSignature. The common name of `subject` says who it is. It has no role of 2-wire.md section 5.
///
/// # Errors
/// As [`leaf`].
pub fn tls_client(
    issuer: &Issuer<'_>,
    subject: &Name,
    spki: &[u8],
    validity: Validity,
) -> Result<Certificate, Error> {
    let mut template = Template::new(issuer.certificate.subject(), subject, spki, validity)?;
    template.not_a_ca()?;
    template.key_usage(KeyUsages::DigitalSignature)?;
    template.extended_key_usage(false, vec![ID_KP_CLIENT_AUTH])?;
    template.subject_key_id()?;
    template.authority_key_id(issuer.certificate)?;
    sign(&template, issuer.key, Some(issuer))
}

pub(crate) fn ca_usage() -> FlagSet<KeyUsages> {
    KeyUsages::KeyCertSign | KeyUsages::CRLSign
}

fn family(spki: &[u8]) -> Result<KeyFamily, Error> {
    KeyFamily::of(spki).map_err(|defect| Error::Key { what: "the key to be certified", defect })
}

/// What every certificate of a role's chain must be: of one kind of key from root to leaf, and all that [`sign`] asks.
fn finish(template: &Template, key: &dyn Signer, issuer: Option<&Issuer<'_>>) -> Result<Certificate, Error> {
    let (ours, its) = (family(key.spki_der())?, family(template.spki())?);
    if ours != its {
        return Err(Error::Request(format!(
            "a CA whose key is of the kind {ours} certifies no key of the kind {its}: use the CA of its suite"
        )));
    }
    sign(template, key, issuer)
}

/// What every certificate made here must be: in order, within its issuer's time, of a good key, and with a
/// signature that verifies.
fn sign(template: &Template, key: &dyn Signer, issuer: Option<&Issuer<'_>>) -> Result<Certificate, Error> {
    let Validity { not_before, not_after } = template.validity();
    if not_after <= not_before {
        return Err(Error::Request("the certificate would end before it begins".into()));
    }
    if let Some(issuer) = issuer
        && not_after > issuer.certificate.not_after()
    {
        return Err(Error::Request(format!(
            "the certificate would outlive its issuer {}: ask for fewer days",
            issuer.certificate.subject()
        )));
    }
    let certificate = template.sign(key)?;
    certificate.signed().verify("the new certificate", key.spki_der())?;
    Ok(certificate)
}
