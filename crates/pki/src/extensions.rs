//! What a certificate's extensions say (RFC 5280 section 4.2), each read once, strictly.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_BASIC_CONSTRAINTS, ID_CE_EXT_KEY_USAGE, ID_CE_KEY_USAGE,
    ID_CE_SUBJECT_ALT_NAME, ID_CE_SUBJECT_KEY_IDENTIFIER,
};
use der::{Decode, Encode};
use x509_cert::der::flagset::FlagSet;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};

use crate::error::Error;
use crate::role::TRIAL_MARK;

/// A value with the criticality of its extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marked<T> {
    pub(crate) critical: bool,
    pub(crate) value: T,
}

/// The extensions that this crate understands, and which critical ones it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    pub(crate) basic_constraints: Option<Marked<BasicConstraints>>,
    pub(crate) key_usage: Option<Marked<FlagSet<KeyUsages>>>,
    pub(crate) extended_key_usage: Option<Marked<Vec<ObjectIdentifier>>>,
    pub(crate) subject_key_id: Option<Vec<u8>>,
    pub(crate) authority_key_id: Option<Vec<u8>>,
    pub(crate) for_trials: bool,
    pub(crate) unknown_critical: Vec<ObjectIdentifier>,
}

impl Extensions {
    /// Reads them all. A repeated extension, or one that is not in DER, is malformed.
    pub(crate) fn read(what: &'static str, extensions: &[Extension]) -> Result<Self, Error> {
        let mut seen: Vec<ObjectIdentifier> = Vec::with_capacity(extensions.len());
        let mut read = Self::default();
        for extension in extensions {
            if seen.contains(&extension.extn_id) {
                return Err(Error::malformed(
                    what,
                    format_args!("extension {} is repeated", extension.extn_id),
                ));
            }
            seen.push(extension.extn_id);
            read.take(what, extension)?;
        }
        Ok(read)
    }

    fn take(&mut self, what: &'static str, extension: &Extension) -> Result<(), Error> {
        let critical = extension.critical;
        let bytes = extension.extn_value.as_bytes();
        match extension.extn_id {
            ID_CE_BASIC_CONSTRAINTS => {
                let value = strict::<BasicConstraints>(what, bytes)?;
                self.basic_constraints = Some(Marked { critical, value });
            }
            ID_CE_KEY_USAGE => {
                let value = strict::<KeyUsage>(what, bytes)?.0;
                self.key_usage = Some(Marked { critical, value });
            }
            ID_CE_EXT_KEY_USAGE => {
                let value = strict::<ExtendedKeyUsage>(what, bytes)?.0;
                self.extended_key_usage = Some(Marked { critical, value });
            }
            ID_CE_SUBJECT_KEY_IDENTIFIER => {
                self.subject_key_id =
                    Some(strict::<SubjectKeyIdentifier>(what, bytes)?.0.as_bytes().to_vec());
            }
            ID_CE_AUTHORITY_KEY_IDENTIFIER => {
                let value = strict::<AuthorityKeyIdentifier>(what, bytes)?;
                self.authority_key_id = value.key_identifier.map(|id| id.as_bytes().to_vec());
            }
            ID_CE_SUBJECT_ALT_NAME => {
                // Who the subject is besides its name decides nothing here; it must only be well formed.
                strict::<SubjectAltName>(what, bytes)?;
            }
            // Whether critical or not: who marks a root means it.
            TRIAL_MARK => self.for_trials = true,
            other if critical => self.unknown_critical.push(other),
            _ => {}
        }
        Ok(())
    }
}

/// Decodes and demands that the same bytes come out again: no second spelling of the same extension.
pub(crate) fn strict<'a, T: Decode<'a> + Encode>(what: &'static str, bytes: &'a [u8]) -> Result<T, Error> {
    let value = T::from_der(bytes).map_err(|error| Error::malformed(what, error))?;
    match value.to_der() {
        Ok(again) if again == bytes => Ok(value),
        _ => Err(Error::malformed(what, "an extension is not in DER")),
    }
}
