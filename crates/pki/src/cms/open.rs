//! Opening a signed package.
//!
//! Every byte of a package is either under a signature, or fixed by this reader, or part of a certificate on a
//! signer's chain: what it does not need, it refuses. So no one can send the same collection twice as
//! different bytes.

use der::Decode;
use x509_cert::time::Time;

use super::{CmsRefusal, MAX_CERTIFICATES, MAX_PACKAGE_LEN, MAX_SIGNERS, oids};
use crate::certificate::Certificate;
use crate::error::Error;
use crate::key::{RSA_ENCRYPTION, Scheme, sha256, verify_signature};
use crate::signed::SHA256_WITH_RSA;
use crate::tlv::{self, Reader};
use crate::{MAX_INTERMEDIATES, time};

/// A package whose digest and signatures were checked. Who the signers are is still to be checked:
/// [`crate::verify_chain`] of each one's certificate.
#[derive(Debug, Clone)]
pub struct SignedPackage {
    /// What was signed.
    pub content: Vec<u8>,
    /// Who signed it: one or two, each with another certificate.
    pub signers: Vec<CheckedSigner>,
}

/// A signer whose signature was checked under the certificate beside it.
#[derive(Debug, Clone)]
pub struct CheckedSigner {
    /// The signer's certificate, not yet believed.
    pub certificate: Certificate,
    /// The certificates that lead from it towards a root, nearest first: ready for [`crate::verify_chain`].
    pub intermediates: Vec<Certificate>,
    /// When the signer says that it signed, unix seconds.
    pub signing_time: i64,
}

impl SignedPackage {
    /// The one signer.
    ///
    /// # Errors
    /// [`CmsRefusal::SignerCount`] when there are two.
    pub fn only_signer(&self) -> Result<&CheckedSigner, CmsRefusal> {
        match self.signers.as_slice() {
            [one] => Ok(one),
            several => Err(CmsRefusal::SignerCount { found: several.len(), wanted: 1 }),
        }
    }
}

/// Opens SignedData in DER with attached content; checks the digest and the signature of each signer.
///
/// # Errors
/// The [`CmsRefusal`] that applies.
pub fn open(der: &[u8]) -> Result<SignedPackage, CmsRefusal> {
    if der.len() > MAX_PACKAGE_LEN {
        return Err(CmsRefusal::TooLong { len: der.len(), max: MAX_PACKAGE_LEN });
    }
    let parts = Parts::cut(der)?;
    let mut signers: Vec<(CheckedSigner, usize)> = Vec::new();
    let mut used = vec![false; parts.certificates.len()];
    for info in &parts.signer_infos {
        let (signer, index) = check_signer(info, parts.content, &parts.certificates, &mut used)?;
        if signers.iter().any(|(_, other)| *other == index) {
            return Err(CmsRefusal::SameSigner);
        }
        signers.push((signer, index));
    }
    if let Some((stray, _)) = parts.certificates.iter().zip(&used).find(|(_, used)| !**used) {
        return Err(CmsRefusal::StrayCertificate { subject: stray.subject().to_string() });
    }
    Ok(SignedPackage {
        content: parts.content.to_vec(),
        signers: signers.into_iter().map(|(signer, _)| signer).collect(),
    })
}

/// SignedData, cut (RFC 5652 section 5.1).
struct Parts<'a> {
    content: &'a [u8],
    certificates: Vec<Certificate>,
    signer_infos: Vec<tlv::Tlv<'a>>,
}

impl<'a> Parts<'a> {
    fn cut(der: &'a [u8]) -> Result<Self, CmsRefusal> {
        let mut info = Reader::new(tlv::whole(der, tlv::SEQUENCE)?.value);
        if info.expect(tlv::OID)?.raw != oids::SIGNED_DATA {
            return Err(CmsRefusal::Malformed("it is not signed data"));
        }
        let wrapped = info.expect(tlv::CONTEXT_0)?.value;
        info.finish()?;
        let mut data = Reader::new(tlv::whole(wrapped, tlv::SEQUENCE)?.value);
        let version = data.expect(tlv::INTEGER)?.value;
        let digests = data.expect(tlv::SET)?.value;
        let encapsulated = data.expect(tlv::SEQUENCE)?.value;
        let certificates = data.optional(tlv::CONTEXT_0)?;
        let infos = data.expect(tlv::SET)?.value;
        data.finish()?;

        let signer_infos = elements(infos, MAX_SIGNERS)?
            .ok_or(CmsRefusal::SignerCount { found: MAX_SIGNERS + 1, wanted: MAX_SIGNERS })?;
        if signer_infos.is_empty() {
            return Err(CmsRefusal::SignerCount { found: 0, wanted: 1 });
        }
        // RFC 5652 section 5.1: 3 when a signer is known by its key identifier, else 1.
        let wanted = if signer_infos.iter().any(signer_by_key) { [3] } else { [1] };
        if version != wanted {
            return Err(CmsRefusal::Malformed("it has another version than its signers need"));
        }
        if digests != oids::SHA256 && digests != oids::SHA256_NULL {
            return Err(CmsRefusal::Algorithm);
        }
        Ok(Self {
            content: content(encapsulated)?,
            certificates: read_certificates(certificates.map_or(&[], |set| set.value))?,
            signer_infos,
        })
    }
}

fn content(encapsulated: &[u8]) -> Result<&[u8], CmsRefusal> {
    let mut reader = Reader::new(encapsulated);
    if reader.expect(tlv::OID)?.raw != oids::DATA {
        return Err(CmsRefusal::Malformed("its content is of another type than data"));
    }
    let wrapped = reader.optional(tlv::CONTEXT_0)?.ok_or(CmsRefusal::Detached)?.value;
    reader.finish()?;
    Ok(tlv::whole(wrapped, tlv::OCTET_STRING)?.value)
}

fn read_certificates(set: &[u8]) -> Result<Vec<Certificate>, CmsRefusal> {
    let found = elements(set, MAX_CERTIFICATES)?
        .ok_or(CmsRefusal::TooManyCertificates { found: MAX_CERTIFICATES + 1, max: MAX_CERTIFICATES })?;
    let certificates = found
        .iter()
        .map(|tlv| Certificate::from_der(tlv.raw).map_err(CmsRefusal::Certificate))
        .collect::<Result<Vec<_>, _>>()?;
    let repeated = certificates
        .iter()
        .enumerate()
        .any(|(index, one)| certificates.iter().skip(index + 1).any(|other| other == one));
    if repeated { Err(CmsRefusal::Malformed("a certificate is repeated")) } else { Ok(certificates) }
}

/// The elements of a set; `None` when there are more than `max`.
fn elements(set: &[u8], max: usize) -> Result<Option<Vec<tlv::Tlv<'_>>>, CmsRefusal> {
    let mut reader = Reader::new(set);
    let mut found = Vec::new();
    while !reader.is_empty() {
        if found.len() == max {
            return Ok(None);
        }
        found.push(reader.expect(tlv::SEQUENCE)?);
    }
    Ok(Some(found))
}

/// Whether a SignerInfo names its signer by key identifier.
fn signer_by_key(info: &tlv::Tlv<'_>) -> bool {
    let mut reader = Reader::new(info.value);
    let after_version = reader.any().and_then(|_| reader.any());
    after_version.is_ok_and(|sid| sid.tag == tlv::CONTEXT_0_PRIMITIVE)
}

/// Checks one SignerInfo (RFC 5652 section 5.3); gives the signer and the place of its certificate.
fn check_signer(
    info: &tlv::Tlv<'_>,
    content: &[u8],
    certificates: &[Certificate],
    used: &mut [bool],
) -> Result<(CheckedSigner, usize), CmsRefusal> {
    let mut reader = Reader::new(info.value);
    let version = reader.expect(tlv::INTEGER)?.value;
    let sid = reader.any()?;
    let digest_algorithm = reader.expect(tlv::SEQUENCE)?.raw;
    let attributes = reader.optional(tlv::CONTEXT_0)?;
    let signature_algorithm = reader.expect(tlv::SEQUENCE)?.raw;
    let signature = reader.expect(tlv::OCTET_STRING)?.value;
    // Unsigned attributes would be bytes that nobody answers for.
    reader.finish()?;

    if digest_algorithm != oids::SHA256 && digest_algorithm != oids::SHA256_NULL {
        return Err(CmsRefusal::Algorithm);
    }
    // RFC 5754 section 3.2 and RFC 3370 section 3.2: both names stand for the same signature.
    if signature_algorithm != SHA256_WITH_RSA && signature_algorithm != RSA_ENCRYPTION {
        return Err(CmsRefusal::Algorithm);
    }
    let index = find_signer(version, &sid, certificates)?;
    let certificate = certificates.get(index).ok_or(CmsRefusal::NoSignerCertificate)?;

    let attributes = attributes.ok_or(CmsRefusal::SignedAttribute("contentType"))?.value;
    let attributes = Attributes::read(attributes)?;
    if attributes.digest != sha256(content) {
        return Err(CmsRefusal::Digest);
    }
    // Signed under the tag of a SET (RFC 5652 section 5.4).
    let to_verify = tlv::encode(tlv::SET, &[attributes.bytes]);
    verify_signature(certificate.spki_der(), Scheme::Pkcs1Sha256, &to_verify, signature).map_err(
        |error| match error {
            Error::Key { defect, .. } => CmsRefusal::WeakKey(defect),
            _ => CmsRefusal::BadSignature,
        },
    )?;
    let signer = CheckedSigner {
        certificate: certificate.clone(),
        intermediates: path(index, certificates, used),
        signing_time: attributes.signing_time,
    };
    Ok((signer, index))
}

/// The place of the signer's certificate, by issuer and serial number (version 1) or key identifier (3).
fn find_signer(
    version: &[u8],
    sid: &tlv::Tlv<'_>,
    certificates: &[Certificate],
) -> Result<usize, CmsRefusal> {
    let found = match (version, sid.tag) {
        ([1], tlv::SEQUENCE) => {
            let mut reader = Reader::new(sid.value);
            let issuer = reader.expect(tlv::SEQUENCE)?.raw;
            let serial = reader.expect(tlv::INTEGER)?.value;
            reader.finish()?;
            let serial = tlv::positive(serial).ok_or(CmsRefusal::NoSignerCertificate)?;
            certificates.iter().position(|certificate| {
                certificate.issuer().der() == issuer && certificate.serial() == serial
            })
        }
        ([3], tlv::CONTEXT_0_PRIMITIVE) => {
            certificates.iter().position(|certificate| certificate.subject_key_id() == Some(sid.value))
        }
        _ => return Err(CmsRefusal::Malformed("a signer is named in an unknown way")),
    };
    found.ok_or(CmsRefusal::NoSignerCertificate)
}

/// The certificates from the signer's towards a root. A set has no order: names and key identifiers give it.
fn path(signer: usize, certificates: &[Certificate], used: &mut [bool]) -> Vec<Certificate> {
    let mut path: Vec<Certificate> = Vec::new();
    let mut here = signer;
    let mut on_path = vec![here];
    loop {
        if let Some(mark) = used.get_mut(here) {
            *mark = true;
        }
        let Some(current) = certificates.get(here) else { return path };
        // One more than the intermediates: the root may be there.
        if path.len() > MAX_INTERMEDIATES {
            return path;
        }
        let next = certificates
            .iter()
            .enumerate()
            .find(|(index, candidate)| !on_path.contains(index) && current.names_issuer(candidate));
        let Some((index, certificate)) = next else { return path };
        path.push(certificate.clone());
        on_path.push(index);
        here = index;
    }
}

/// The signed attributes that this suite demands (RFC 5652 section 11).
struct Attributes<'a> {
    /// All attributes, without the tag and length around them.
    bytes: &'a [u8],
    digest: [u8; 32],
    signing_time: i64,
}

impl<'a> Attributes<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, CmsRefusal> {
        let (mut content_type, mut digest, mut signing_time) = (None, None, None);
        let mut reader = Reader::new(bytes);
        let mut previous: &[u8] = &[];
        while !reader.is_empty() {
            let attribute = reader.expect(tlv::SEQUENCE)?;
            // DER sorts a SET OF by its encodings (X.690 clause 11.6).
            if attribute.raw <= previous {
                return Err(CmsRefusal::Malformed("its signed attributes are not in DER's order"));
            }
            previous = attribute.raw;
            let mut inner = Reader::new(attribute.value);
            let oid = inner.expect(tlv::OID)?.raw;
            let values = inner.expect(tlv::SET)?.value;
            inner.finish()?;
            let (place, name) = match oid {
                oids::CONTENT_TYPE => (&mut content_type, "contentType"),
                oids::MESSAGE_DIGEST => (&mut digest, "messageDigest"),
                oids::SIGNING_TIME => (&mut signing_time, "signingTime"),
                // Others say nothing that is used here; they are under the signature all the same.
                _ => continue,
            };
            if place.replace(values).is_some() {
                return Err(CmsRefusal::SignedAttribute(name));
            }
        }
        if content_type != Some(oids::DATA) {
            return Err(CmsRefusal::SignedAttribute("contentType"));
        }
        let digest = digest
            .and_then(|values| tlv::whole(values, tlv::OCTET_STRING).ok())
            .and_then(|octets| octets.value.try_into().ok())
            .ok_or(CmsRefusal::SignedAttribute("messageDigest"))?;
        let signing_time = signing_time
            .and_then(|values| Time::from_der(values).ok())
            .ok_or(CmsRefusal::SignedAttribute("signingTime"))?;
        Ok(Self { bytes, digest, signing_time: time::to_unix(signing_time) })
    }
}

impl From<tlv::Defect> for CmsRefusal {
    fn from(why: tlv::Defect) -> Self {
        Self::Malformed(why)
    }
}
