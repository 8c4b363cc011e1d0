//! Names of certificate subjects and issuers.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519::{CN, O, SERIAL_NUMBER};
use der::asn1::{Any, PrintableStringRef, SetOfVec, Utf8StringRef};
use der::{Decode, Encode, Tag};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};

use crate::error::Error;

/// Longest common name or organisation, in characters (RFC 5280 appendix A.1, ub-common-name).
const MAX_PART: usize = 64;

/// Longest device serial, in characters (2-wire.md section 2, DF02).
const MAX_SERIAL: usize = 32;

/// A distinguished name. Two names are equal when their encodings are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name {
    der: Vec<u8>,
    text: String,
    common_name: Option<String>,
    organisation: Option<String>,
    serial_number: Option<String>,
}

impl Name {
    /// A name with a common name and, where wanted, an organisation; each of 1 to 64 characters, none of them
    /// a control character.
    ///
    /// # Errors
    /// [`Error::Name`] for a part that is empty, too long or has control characters.
    pub fn new(common_name: &str, organisation: Option<&str>) -> Result<Self, Error> {
        let mut rdns = Vec::new();
        if let Some(organisation) = organisation {
            rdns.push(rdn(O, organisation)?);
        }
        rdns.push(rdn(CN, common_name)?);
        Self::from_rdns(&RdnSequence(rdns))
    }

    /// The name in a device certificate: as [`Name::new`], and the PIN pad's serial as serialNumber, 1 to 32 of
    /// `A-Z a-z 0-9 - . _`.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn device(common_name: &str, organisation: Option<&str>, serial: &str) -> Result<Self, Error> {
        if !is_device_serial(serial) {
            let why = "a PIN pad's serial has 1 to 32 of A-Z a-z 0-9 - . _";
            return Err(Error::Name { part: printable(serial), why });
        }
        // X.520 wants a PrintableString, which has no underscore; such a serial is UTF-8.
        let encode = || -> der::Result<_> {
            let value = match PrintableStringRef::new(serial) {
                Ok(text) => Any::from(text),
                Err(_) => Any::from(Utf8StringRef::new(serial)?),
            };
            SetOfVec::try_from(vec![AttributeTypeAndValue { oid: SERIAL_NUMBER, value }])
        };
        let serial =
            encode().map(RelativeDistinguishedName).map_err(|error| Error::malformed("the name", error))?;
        let mut rdns = Self::new(common_name, organisation)?.to_rdns()?;
        rdns.0.push(serial);
        Self::from_rdns(&rdns)
    }

    /// Reads an encoded Name (DER, whole input).
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let rdns = RdnSequence::from_der(der).map_err(|error| Error::malformed("the name", error))?;
        Self::from_rdns(&rdns)
    }

    pub(crate) fn from_rdns(rdns: &RdnSequence) -> Result<Self, Error> {
        let der = rdns.to_der().map_err(|error| Error::malformed("the name", error))?;
        Ok(Self {
            der,
            text: printable(&rdns.to_string()),
            common_name: attribute(rdns, CN),
            organisation: attribute(rdns, O),
            serial_number: only_serial(rdns),
        })
    }

    pub(crate) fn to_rdns(&self) -> Result<RdnSequence, Error> {
        RdnSequence::from_der(&self.der).map_err(|error| Error::malformed("the name", error))
    }

    /// The encoded Name (DER).
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The common name, where there is one.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// The serial number, where there is exactly one and it can be a device's (2-wire.md section 2, DF02).
    #[must_use]
    pub fn serial_number(&self) -> Option<&str> {
        self.serial_number.as_deref()
    }

    /// The organisation, where there is one.
    #[must_use]
    pub fn organisation(&self) -> Option<&str> {
        self.organisation.as_deref()
    }
}

/// As RFC 4514 writes it, without control characters: safe in a log and on a screen.
impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Name({})", self.text)
    }
}

fn rdn(oid: ObjectIdentifier, part: &str) -> Result<RelativeDistinguishedName, Error> {
    let refuse = |why| Err(Error::Name { part: printable(part), why });
    if part.is_empty() {
        return refuse("it is empty");
    }
    if part.chars().count() > MAX_PART {
        return refuse("it has more than 64 characters");
    }
    if part.chars().any(char::is_control) {
        return refuse("it has control characters");
    }
    let encode = || -> der::Result<_> {
        let value = Any::from(Utf8StringRef::new(part)?);
        SetOfVec::try_from(vec![AttributeTypeAndValue { oid, value }])
    };
    encode().map(RelativeDistinguishedName).map_err(|error| Error::malformed("the name", error))
}

/// The first attribute of this type that is text.
fn attribute(rdns: &RdnSequence, oid: ObjectIdentifier) -> Option<String> {
    let found = rdns.0.iter().flat_map(|rdn| rdn.0.iter()).find(|attribute| attribute.oid == oid)?;
    match found.value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => {
            std::str::from_utf8(found.value.value()).ok().map(printable)
        }
        _ => None,
    }
}

/// The serial number that says whose a device certificate is: two would leave open which.
fn only_serial(rdns: &RdnSequence) -> Option<String> {
    let all = rdns.0.iter().flat_map(|rdn| rdn.0.iter());
    let count = all.filter(|attribute| attribute.oid == SERIAL_NUMBER).count();
    attribute(rdns, SERIAL_NUMBER).filter(|serial| count == 1 && is_device_serial(serial))
}

fn is_device_serial(serial: &str) -> bool {
    (1..=MAX_SERIAL).contains(&serial.len())
        && serial.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

use der::Tagged as _;

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}
