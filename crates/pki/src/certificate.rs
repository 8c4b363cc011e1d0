//! An X.509 certificate: its bytes, and what they say.

use std::sync::Arc;

use const_oid::{ObjectIdentifier, db::rfc5280::ID_KP_CLIENT_AUTH};
use der::{Decode, Encode};
use x509_cert::Version;

use crate::error::Error;
use crate::extensions::Extensions;
use crate::key::sha256;
use crate::name::Name;
use crate::role::Role;
use crate::signed::Signed;
use crate::{pem, time, tlv};

/// Longest certificate read, in bytes. One of 4 096 bits with every extension of ours has about 1 500.
pub const MAX_CERTIFICATE_LEN: usize = 16 * 1024;

const WHAT: &str = "the certificate";
const LABEL: &str = "CERTIFICATE";

/// An X.509 v3 certificate that was read, not yet believed. Cheap to clone; equal when the bytes are.
#[derive(Clone)]
pub struct Certificate {
    inner: Arc<Inner>,
}

struct Inner {
    der: Vec<u8>,
    signed: Signed,
    /// The magnitude of the serial number.
    serial: Vec<u8>,
    issuer: Name,
    subject: Name,
    not_before: i64,
    not_after: i64,
    spki: Vec<u8>,
    extensions: Extensions,
}

impl Certificate {
    /// Reads one certificate from DER: the whole input, version 3, strictly encoded.
    ///
    /// # Errors
    /// [`Error::Malformed`] or [`Error::TooLong`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        if der.len() > MAX_CERTIFICATE_LEN {
            return Err(Error::TooLong { what: WHAT, len: der.len(), max: MAX_CERTIFICATE_LEN });
        }
        let bad = |error: der::Error| Error::malformed(WHAT, error);
        let signed = Signed::parse(WHAT, der)?;
        let parsed = x509_cert::Certificate::from_der(der).map_err(bad)?;
        if parsed.to_der().map_err(bad)? != der {
            return Err(Error::malformed(WHAT, "it is not in DER"));
        }
        let tbs = &parsed.tbs_certificate;
        if tbs.version != Version::V3 {
            return Err(Error::malformed(WHAT, "it is not version 3"));
        }
        if tbs.issuer_unique_id.is_some() || tbs.subject_unique_id.is_some() {
            return Err(Error::malformed(WHAT, "it has a unique identifier (RFC 5280 section 4.1.2.8)"));
        }
        if tbs.signature.to_der().map_err(bad)? != signed.algorithm() {
            return Err(Error::malformed(WHAT, "it names two signature algorithms"));
        }
        let serial = tlv::positive(tlv_value(&tbs.serial_number.to_der().map_err(bad)?)?)
            .ok_or_else(|| Error::malformed(WHAT, "its serial number is not positive"))?
            .to_vec();
        Ok(Self {
            inner: Arc::new(Inner {
                serial,
                issuer: Name::from_rdns(&tbs.issuer)?,
                subject: Name::from_rdns(&tbs.subject)?,
                not_before: time::to_unix(tbs.validity.not_before),
                not_after: time::to_unix(tbs.validity.not_after),
                spki: tbs.subject_public_key_info.to_der().map_err(bad)?,
                extensions: Extensions::read(WHAT, tbs.extensions.as_deref().unwrap_or_default())?,
                signed,
                der: der.to_vec(),
            }),
        })
    }

    /// Reads one certificate from PEM (label `CERTIFICATE`).
    ///
    /// # Errors
    /// [`Error::Malformed`] or [`Error::TooLong`].
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        Self::from_der(&pem::decode(WHAT, LABEL, MAX_CERTIFICATE_LEN, text)?)
    }

    /// Reads every certificate of a PEM text that may hold other blocks too, in order.
    ///
    /// # Errors
    /// As [`Certificate::from_pem`], for the first that cannot be read.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, Error> {
        pem::blocks(LABEL, text).into_iter().map(Self::from_pem).collect()
    }

    /// Reads certificates that stand one after another in DER (field DF0D of 2-wire.md section 2).
    ///
    /// # Errors
    /// As [`Certificate::from_der`]; [`Error::TooLong`] for more than [`crate::MAX_INTERMEDIATES`] + 1.
    pub fn all_from_der(bytes: &[u8]) -> Result<Vec<Self>, Error> {
        let mut reader = tlv::Reader::new(bytes);
        let mut found = Vec::new();
        while !reader.is_empty() {
            let max = crate::MAX_INTERMEDIATES + 1;
            if found.len() == max {
                return Err(Error::malformed("the chain", format_args!("it has more than {max} members")));
            }
            let next = reader.expect(tlv::SEQUENCE).map_err(|why| Error::malformed(WHAT, why))?;
            found.push(Self::from_der(next.raw)?);
        }
        Ok(found)
    }

    /// The bytes as they came.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.inner.der
    }

    /// As PEM text with `\n` line ends.
    #[must_use]
    pub fn pem(&self) -> String {
        pem::encode(LABEL, &self.inner.der)
    }

    /// Whom it is about.
    #[must_use]
    pub fn subject(&self) -> &Name {
        &self.inner.subject
    }

    /// Who made it.
    #[must_use]
    pub fn issuer(&self) -> &Name {
        &self.inner.issuer
    }

    /// The serial number, upper-case hex, two digits a byte.
    #[must_use]
    pub fn serial_hex(&self) -> String {
        hex_upper(&self.inner.serial)
    }

    /// The magnitude of the serial number, big-endian.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.inner.serial
    }

    /// SHA-256 of the DER, lower-case hex (`work_certificate_sha256` of 2-wire.md section 6).
    #[must_use]
    pub fn sha256_hex(&self) -> String {
        hex_upper(&sha256(&self.inner.der)).to_lowercase()
    }

    /// The role, when it has exactly one extended key usage and that is a role's.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        match self.inner.extensions.extended_key_usage.as_ref()?.value.as_slice() {
            [one] => Role::from_oid(one),
            _ => None,
        }
    }

    /// Whether it says that it is for TLS clients. One without any extended key usage does not say so.
    #[must_use]
    pub fn is_for_tls_clients(&self) -> bool {
        self.extended_key_usage().contains(&ID_KP_CLIENT_AUTH)
    }

    /// Whether it says of itself that it is a CA.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.inner.extensions.basic_constraints.as_ref().is_some_and(|marked| marked.value.ca)
    }

    /// How many CAs may stand below it, where it says so.
    #[must_use]
    pub fn path_len(&self) -> Option<u8> {
        self.inner.extensions.basic_constraints.as_ref()?.value.path_len_constraint
    }

    /// Whether it is marked as one for trials ([`crate::TRIAL_MARK`]). A root without the mark is for production.
    #[must_use]
    pub fn is_for_trials(&self) -> bool {
        self.inner.extensions.for_trials
    }

    /// Holds a root to the estate that is to believe it: one for production, or one for trials.
    ///
    /// # Errors
    /// [`Error::OtherEstate`] when it is for the other.
    pub fn must_be_for(&self, production: bool) -> Result<(), Error> {
        if self.is_for_trials() == production {
            return Err(Error::OtherEstate { subject: self.subject().to_string(), production: !production });
        }
        Ok(())
    }

    /// The public key, as SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.inner.spki
    }

    /// First second of validity, unix time.
    #[must_use]
    pub fn not_before(&self) -> i64 {
        self.inner.not_before
    }

    /// Last second of validity, unix time.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.inner.not_after
    }

    /// The subject key identifier, where it has one.
    #[must_use]
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.inner.extensions.subject_key_id.as_deref()
    }

    /// Every extended key usage, in order.
    #[must_use]
    pub fn extended_key_usage(&self) -> &[ObjectIdentifier] {
        self.inner.extensions.extended_key_usage.as_ref().map_or(&[], |marked| marked.value.as_slice())
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.inner.extensions
    }

    pub(crate) fn signed(&self) -> &Signed {
        &self.inner.signed
    }

    /// Whether `issuer` can be the one that made this, by name and, where both say it, by key identifier.
    pub(crate) fn names_issuer(&self, issuer: &Self) -> bool {
        let by_key = match (&self.inner.extensions.authority_key_id, issuer.subject_key_id()) {
            (Some(wanted), Some(found)) => wanted == found,
            _ => true,
        };
        by_key && self.issuer() == issuer.subject()
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.inner.der == other.inner.der
    }
}

impl Eq for Certificate {}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", self.subject())
            .field("issuer", self.issuer())
            .field("serial", &self.serial_hex())
            .finish_non_exhaustive()
    }
}

fn tlv_value(der: &[u8]) -> Result<&[u8], Error> {
    tlv::whole(der, tlv::INTEGER).map(|tlv| tlv.value).map_err(|why| Error::malformed(WHAT, why))
}

pub(crate) fn hex_upper(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}
