//! The bytes of a certificate to be signed. This layer builds whatever it is told, sound or not: the tests of
//! refusals need that. What may be built is decided one floor up.

use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{BitString, Null, OctetString};
use der::flagset::FlagSet;
use der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::{TbsCertificate, Version};

use super::Validity;
use crate::certificate::Certificate;
use crate::error::Error;
use crate::key::{Signer, key_identifier};
use crate::name::Name;
use crate::role::TRIAL_MARK;
use crate::signed::{Signed, algorithm_of};
use crate::time;

const WHAT: &str = "the new certificate";
/// Bytes of a serial number.
const SERIAL_LEN: usize = 16;

/// A certificate before it is signed.
pub(crate) struct Template {
    issuer: Name,
    subject: Name,
    spki: Vec<u8>,
    validity: Validity,
    serial: [u8; SERIAL_LEN],
    extensions: Vec<Extension>,
}

impl Template {
    pub(crate) fn new(issuer: &Name, subject: &Name, spki: &[u8], validity: Validity) -> Result<Self, Error> {
        Ok(Self {
            issuer: issuer.clone(),
            subject: subject.clone(),
            spki: spki.to_vec(),
            validity,
            serial: random_serial()?,
            extensions: Vec::new(),
        })
    }

    pub(crate) fn spki(&self) -> &[u8] {
        &self.spki
    }

    pub(crate) fn validity(&self) -> Validity {
        self.validity
    }

    pub(crate) fn push<T: AssociatedOid + Encode>(&mut self, critical: bool, value: &T) -> Result<(), Error> {
        self.extensions.push(extension(T::OID, critical, value)?);
        Ok(())
    }

    /// Any extension at all, for certificates that must be refused.
    #[cfg(test)]
    pub(crate) fn push_raw(&mut self, extension: Extension) {
        self.extensions.push(extension);
    }

    pub(crate) fn ca(&mut self, path_len: u8) -> Result<(), Error> {
        self.push(true, &BasicConstraints { ca: true, path_len_constraint: Some(path_len) })
    }

    pub(crate) fn trial_mark(&mut self) -> Result<(), Error> {
        self.extensions.push(extension(TRIAL_MARK, false, &Null)?);
        Ok(())
    }

    pub(crate) fn not_a_ca(&mut self) -> Result<(), Error> {
        self.push(true, &BasicConstraints { ca: false, path_len_constraint: None })
    }

    pub(crate) fn key_usage(&mut self, usage: impl Into<FlagSet<KeyUsages>>) -> Result<(), Error> {
        self.push(true, &KeyUsage(usage.into()))
    }

    pub(crate) fn extended_key_usage(
        &mut self,
        critical: bool,
        usages: Vec<ObjectIdentifier>,
    ) -> Result<(), Error> {
        self.push(critical, &ExtendedKeyUsage(usages))
    }

    pub(crate) fn subject_key_id(&mut self) -> Result<(), Error> {
        let id = key_identifier(&self.spki)
            .ok_or_else(|| Error::malformed("the key to be certified", "it is no public key"))?;
        let id = OctetString::new(id).map_err(|error| Error::malformed(WHAT, error))?;
        self.push(false, &SubjectKeyIdentifier(id))
    }

    pub(crate) fn authority_key_id(&mut self, issuer: &Certificate) -> Result<(), Error> {
        let id = authority_key_id(issuer)?;
        self.push(false, &id)
    }

    /// Encodes, has it signed, and reads it back.
    pub(crate) fn sign(&self, key: &dyn Signer) -> Result<Certificate, Error> {
        let tbs = self.tbs(key.spki_der())?;
        Certificate::from_der(&Signed::create(&tbs, key)?)
    }

    /// The TBSCertificate in DER, to be signed by the holder of this public key.
    pub(crate) fn tbs(&self, signer: &[u8]) -> Result<Vec<u8>, Error> {
        let bad = |error: der::Error| Error::malformed(WHAT, error);
        let tbs = TbsCertificate {
            version: Version::V3,
            serial_number: SerialNumber::new(&self.serial).map_err(bad)?,
            signature: AlgorithmIdentifierOwned::from_der(algorithm_of(signer)).map_err(bad)?,
            issuer: self.issuer.to_rdns()?,
            validity: x509_cert::time::Validity {
                not_before: time::from_unix(self.validity.not_before)?,
                not_after: time::from_unix(self.validity.not_after)?,
            },
            subject: self.subject.to_rdns()?,
            subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(&self.spki)
                .map_err(|error| Error::malformed("the key to be certified", error))?,
            issuer_unique_id: None::<BitString>,
            subject_unique_id: None,
            extensions: (!self.extensions.is_empty()).then(|| self.extensions.clone()),
        };
        tbs.to_der().map_err(bad)
    }
}

/// One extension.
pub(crate) fn extension<T: Encode>(
    oid: ObjectIdentifier,
    critical: bool,
    value: &T,
) -> Result<Extension, Error> {
    let bad = |error: der::Error| Error::malformed("the extension", error);
    let bytes = value.to_der().map_err(bad)?;
    Ok(Extension { extn_id: oid, critical, extn_value: OctetString::new(bytes).map_err(bad)? })
}

/// The authority key identifier that points to `issuer`.
pub(crate) fn authority_key_id(issuer: &Certificate) -> Result<AuthorityKeyIdentifier, Error> {
    let id = match issuer.subject_key_id() {
        Some(id) => id.to_vec(),
        None => key_identifier(issuer.spki_der())
            .ok_or_else(|| Error::malformed("the issuer's key", "it is no public key"))?,
    };
    let id = OctetString::new(id).map_err(|error| Error::malformed("the key identifier", error))?;
    Ok(AuthorityKeyIdentifier { key_identifier: Some(id), ..AuthorityKeyIdentifier::default() })
}

/// Sixteen random bytes that are a positive INTEGER of sixteen bytes: the top bit is 0, the next is 1.
fn random_serial() -> Result<[u8; SERIAL_LEN], Error> {
    let mut serial = [0; SERIAL_LEN];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| Error::Random)?;
    serial[0] = (serial[0] & 0x3F) | 0x40;
    Ok(serial)
}
