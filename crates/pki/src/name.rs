//! Names of certificate subjects and issuers.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519::{CN, O};
use der::asn1::{Any, SetOfVec, Utf8StringRef};
use der::{Decode, Encode, Tag};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};

use crate::error::Error;

/// Longest common name or organisation, in characters (RFC 5280 appendix A.1, ub-common-name).
const MAX_PART: usize = 64;

/// A distinguished name. Two names are equal when their encodings are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name {
    der: Vec<u8>,
    text: String,
    common_name: Option<String>,
    organisation: Option<String>,
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

use der::Tagged as _;

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}
