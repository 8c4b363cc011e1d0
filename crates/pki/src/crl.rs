//! Certificate revocation lists (RFC 5280 section 5): whole lists of one issuer; no deltas, no partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_NUMBER, ID_CE_CRL_REASONS};
use der::asn1::UintRef;
use der::{Decode, Encode};
use x509_cert::Version;
use x509_cert::crl::CertificateList;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::CrlReason;

use crate::certificate::Certificate;
use crate::error::Error;
use crate::extensions::strict;
use crate::name::Name;
use crate::refusal::CertificateRefusal;
use crate::signed::Signed;
use crate::{pem, time, tlv};

/// Longest revocation list read, in bytes: some 400 000 entries.
pub const MAX_CRL_LEN: usize = 16 * 1024 * 1024;

const WHAT: &str = "the revocation list";
pub(crate) const LABEL: &str = "X509 CRL";

/// Why a certificate was revoked (RFC 5280 section 5.3.1; the reasons that are used here).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RevocationReason {
    /// No reason is given.
    #[default]
    Unspecified,
    /// The private key is known to someone else, or may be: a lost or stolen card.
    KeyCompromise,
    /// The CA's own key is.
    CaCompromise,
    /// The holder left or changed place.
    AffiliationChanged,
    /// Another certificate took its place.
    Superseded,
    /// It is not needed any more.
    CessationOfOperation,
    /// The holder may not do this any more.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// The word by which commands and logs name the reason.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::CaCompromise => "ca-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }

    pub(crate) fn to_crl(self) -> CrlReason {
        match self {
            Self::Unspecified => CrlReason::Unspecified,
            Self::KeyCompromise => CrlReason::KeyCompromise,
            Self::CaCompromise => CrlReason::CaCompromise,
            Self::AffiliationChanged => CrlReason::AffiliationChanged,
            Self::Superseded => CrlReason::Superseded,
            Self::CessationOfOperation => CrlReason::CessationOfOperation,
            Self::PrivilegeWithdrawn => CrlReason::PrivilegeWithdrawn,
        }
    }

    fn from_crl(reason: CrlReason) -> Self {
        // Reasons that are not used here still revoke; only their wording is lost.
        Self::ALL.into_iter().find(|known| known.to_crl() as u32 == reason as u32).unwrap_or_default()
    }
}

impl std::fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for RevocationReason {
    type Err = Error;

    /// Reads the word of [`RevocationReason::word`].
    fn from_str(word: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|reason| reason.word() == word).ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|reason| reason.word()).collect();
            Error::Request(format!("{word:?} is no reason; use one of {}", words.join(", ")))
        })
    }
}

/// When and why a certificate was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Unix seconds.
    pub when: i64,
    /// The reason on the list.
    pub reason: RevocationReason,
}

/// A revocation list that was read; its signature is checked when it is consulted.
#[derive(Debug, Clone)]
pub struct Crl {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    der: Vec<u8>,
    signed: Signed,
    issuer: Name,
    number: u64,
    this_update: i64,
    next_update: i64,
    revoked: BTreeMap<Vec<u8>, Revocation>,
}

impl Crl {
    /// Reads a list from DER: the whole input, version 2, with nextUpdate. A list with a critical extension
    /// (a delta, a partition, an indirect list) is malformed here: it is not whole.
    ///
    /// # Errors
    /// [`Error::Malformed`] or [`Error::TooLong`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        if der.len() > MAX_CRL_LEN {
            return Err(Error::TooLong { what: WHAT, len: der.len(), max: MAX_CRL_LEN });
        }
        let bad = |error: der::Error| Error::malformed(WHAT, error);
        let signed = Signed::parse(WHAT, der)?;
        // A list of version 1 says so by leaving the number out, which the parser takes for damage.
        let numbered = signed.tbs_value().first() == Some(&tlv::INTEGER);
        let not_version_2 = || Error::malformed(WHAT, "it is not version 2");
        if !numbered {
            return Err(not_version_2());
        }
        let parsed = CertificateList::from_der(der).map_err(bad)?;
        let tbs = &parsed.tbs_cert_list;
        if tbs.version != Version::V2 {
            return Err(not_version_2());
        }
        if tbs.signature.to_der().map_err(bad)? != signed.algorithm() {
            return Err(Error::malformed(WHAT, "it names two signature algorithms"));
        }
        let next_update = tbs.next_update.ok_or_else(|| Error::malformed(WHAT, "it has no nextUpdate"))?;
        let mut number = 0;
        for extension in tbs.crl_extensions.iter().flatten() {
            if extension.extn_id == ID_CE_CRL_NUMBER {
                number = crl_number(extension)?;
            }
            refuse_critical(extension, &[ID_CE_CRL_NUMBER, ID_CE_AUTHORITY_KEY_IDENTIFIER])?;
        }
        let mut revoked = BTreeMap::new();
        for entry in tbs.revoked_certificates.iter().flatten() {
            let mut reason = RevocationReason::Unspecified;
            for extension in entry.crl_entry_extensions.iter().flatten() {
                refuse_critical(extension, &[ID_CE_CRL_REASONS])?;
                if extension.extn_id == ID_CE_CRL_REASONS {
                    reason = RevocationReason::from_crl(strict::<CrlReason>(
                        WHAT,
                        extension.extn_value.as_bytes(),
                    )?);
                }
            }
            let serial = entry.serial_number.to_der().map_err(bad)?;
            let serial = tlv::whole(&serial, tlv::INTEGER).map_err(|why| Error::malformed(WHAT, why))?;
            // A number that is not positive belongs to no certificate that is accepted here.
            if let Some(serial) = tlv::positive(serial.value) {
                let when = time::to_unix(entry.revocation_date);
                revoked.insert(serial.to_vec(), Revocation { when, reason });
            }
        }
        Ok(Self {
            inner: Arc::new(Inner {
                issuer: Name::from_rdns(&tbs.issuer)?,
                number,
                this_update: time::to_unix(tbs.this_update),
                next_update: time::to_unix(next_update),
                revoked,
                signed,
                der: der.to_vec(),
            }),
        })
    }

    /// Reads a list from PEM (label `X509 CRL`).
    ///
    /// # Errors
    /// [`Error::Malformed`] or [`Error::TooLong`].
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        Self::from_der(&pem::decode(WHAT, LABEL, MAX_CRL_LEN, text)?)
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

    /// Whose list it says it is.
    #[must_use]
    pub fn issuer(&self) -> &Name {
        &self.inner.issuer
    }

    /// The CRL number; 0 where there is none.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.inner.number
    }

    /// When it was made, unix seconds.
    #[must_use]
    pub fn this_update(&self) -> i64 {
        self.inner.this_update
    }

    /// Until when a newer one must be there, unix seconds.
    #[must_use]
    pub fn next_update(&self) -> i64 {
        self.inner.next_update
    }

    /// How many certificates it revokes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.revoked.len()
    }

    /// Whether it revokes none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.revoked.is_empty()
    }

    /// The entry for a serial number (its magnitude, as [`Certificate::serial`] gives it).
    #[must_use]
    pub fn revocation(&self, serial: &[u8]) -> Option<Revocation> {
        self.inner.revoked.get(serial).copied()
    }

    /// Checks the signature against the issuer's certificate.
    ///
    /// # Errors
    /// [`Error::BadSignature`], [`Error::Algorithm`] or [`Error::Key`].
    pub fn verify(&self, issuer: &Certificate) -> Result<(), Error> {
        if self.issuer() != issuer.subject() {
            return Err(Error::BadSignature { what: WHAT });
        }
        self.inner.signed.verify(WHAT, issuer.spki_der())
    }
}

/// The revocation lists at hand, of any issuers.
#[derive(Debug, Clone, Default)]
pub struct CrlSet {
    crls: Vec<Crl>,
}

impl CrlSet {
    /// No lists.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a list. Older ones of the same issuer may stay: the highest number with a good signature counts.
    pub fn add(&mut self, crl: Crl) {
        self.crls.push(crl);
    }

    /// Reads and adds a list in DER.
    ///
    /// # Errors
    /// As [`Crl::from_der`].
    pub fn add_der(&mut self, der: &[u8]) -> Result<(), Error> {
        Crl::from_der(der).map(|crl| self.add(crl))
    }

    /// Reads and adds a list in PEM.
    ///
    /// # Errors
    /// As [`Crl::from_pem`].
    pub fn add_pem(&mut self, text: &str) -> Result<(), Error> {
        Crl::from_pem(text).map(|crl| self.add(crl))
    }

    /// The lists.
    pub fn iter(&self) -> impl Iterator<Item = &Crl> {
        self.crls.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.crls.is_empty()
    }

    /// The newest list that this issuer signed. Lists in its name that others signed are not believed, and
    /// when there are only such, that is a refusal and not a missing list.
    pub(crate) fn consult(&self, issuer: &Certificate) -> Result<Option<&Crl>, CertificateRefusal> {
        let mut named = self.crls.iter().filter(|crl| crl.issuer() == issuer.subject()).peekable();
        if named.peek().is_none() {
            return Ok(None);
        }
        named
            .filter(|crl| crl.verify(issuer).is_ok())
            .max_by_key(|crl| (crl.number(), crl.this_update()))
            .map(Some)
            .ok_or_else(|| CertificateRefusal::CrlSignature { issuer: issuer.subject().to_string() })
    }
}

fn refuse_critical(extension: &Extension, known: &[ObjectIdentifier]) -> Result<(), Error> {
    if extension.critical && !known.contains(&extension.extn_id) {
        return Err(Error::malformed(
            WHAT,
            format_args!("critical extension {} is not understood", extension.extn_id),
        ));
    }
    Ok(())
}

fn crl_number(extension: &Extension) -> Result<u64, Error> {
    let number =
        UintRef::from_der(extension.extn_value.as_bytes()).map_err(|error| Error::malformed(WHAT, error))?;
    let bytes = number.as_bytes();
    if bytes.len() > 8 {
        return Err(Error::malformed(WHAT, "its number has more than 64 bits"));
    }
    Ok(bytes.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
}
