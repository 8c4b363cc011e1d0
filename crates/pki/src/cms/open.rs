//! Opening a signed package.
//!
//! Every byte of a package is either under a signature, or fixed by this reader, or part of a certificate on a
//! signer's chain: what it does not need, it refuses. So no one can send the same collection twice as
//! different bytes.

use super::{CmsRefusal, MAX_CERTIFICATES, MAX_PACKAGE_LEN, MAX_SIGNERS, oids, signer_info};
use crate::MAX_INTERMEDIATES;
use crate::certificate::Certificate;
use crate::tlv::{self, Reader};

/// A package whose digest and signatures were checked. Who the signers are is still to be checked:
/// [`crate::verify_chain`] of the one's certificate, [`super::verify_both`] where two signed.
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
    /// [`CmsRefusal::SignerCount`] when there are two: a package that one person answers for is not one of two.
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
        let checked = signer_info::check(info, parts.content, &parts.certificates)?;
        if signers.iter().any(|(_, other)| *other == checked.place) {
            return Err(CmsRefusal::SameSigner);
        }
        let certificate = parts.certificates.get(checked.place).ok_or(CmsRefusal::NoSignerCertificate)?;
        let signer = CheckedSigner {
            certificate: certificate.clone(),
            intermediates: path(checked.place, &parts.certificates, &mut used),
            signing_time: checked.signing_time,
        };
        signers.push((signer, checked.place));
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
        let wanted = if signer_infos.iter().any(signer_info::signer_by_key) { [3] } else { [1] };
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

impl From<tlv::Defect> for CmsRefusal {
    fn from(why: tlv::Defect) -> Self {
        Self::Malformed(why)
    }
}
