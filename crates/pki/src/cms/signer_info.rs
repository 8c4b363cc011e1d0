//! One SignerInfo: who signed, what, and whether the signature is theirs (RFC 5652 section 5.3).

use der::Decode as _;
use x509_cert::time::Time;

use super::{CmsRefusal, oids};
use crate::certificate::Certificate;
use crate::error::Error;
use crate::key::{KeyFamily, RSA_ENCRYPTION, Scheme, sha256, verify_signature};
use crate::p256::{P256PublicKey, is_p256};
use crate::signed::{ECDSA_WITH_SHA256, SHA256_WITH_RSA};
use crate::time;
use crate::tlv::{self, Reader};

/// What a SignerInfo whose signature verified says.
pub(super) struct Checked {
    /// The place of the signer's certificate among the package's.
    pub(super) place: usize,
    /// When the signer says that it signed, unix seconds.
    pub(super) signing_time: i64,
}

/// Whether a SignerInfo names its signer by key identifier.
pub(super) fn signer_by_key(info: &tlv::Tlv<'_>) -> bool {
    let mut reader = Reader::new(info.value);
    let after_version = reader.any().and_then(|_| reader.any());
    after_version.is_ok_and(|sid| sid.tag == tlv::CONTEXT_0_PRIMITIVE)
}

/// Checks one SignerInfo against the content and the package's certificates.
pub(super) fn check(
    info: &tlv::Tlv<'_>,
    content: &[u8],
    certificates: &[Certificate],
) -> Result<Checked, CmsRefusal> {
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
    let family = match signature_algorithm {
        // RFC 5754 section 3.2 and RFC 3370 section 3.2: both names stand for the same signature.
        SHA256_WITH_RSA | RSA_ENCRYPTION => KeyFamily::Rsa,
        // RFC 5754 section 3.3.
        ECDSA_WITH_SHA256 => KeyFamily::P256,
        _ => return Err(CmsRefusal::Algorithm),
    };
    let place = find_signer(version, &sid, certificates)?;
    let certificate = certificates.get(place).ok_or(CmsRefusal::NoSignerCertificate)?;

    let attributes = attributes.ok_or(CmsRefusal::SignedAttribute("contentType"))?.value;
    let attributes = Attributes::read(attributes)?;
    if attributes.digest != sha256(content) {
        return Err(CmsRefusal::Digest);
    }
    // Signed under the tag of a SET (RFC 5652 section 5.4).
    let to_verify = tlv::encode(tlv::SET, &[attributes.bytes]);
    verify(family, certificate.spki_der(), &to_verify, signature)?;
    Ok(Checked { place, signing_time: attributes.signing_time })
}

/// Checks the signature of an algorithm of this family: RSA PKCS #1 v1.5, or ECDSA as Ecdsa-Sig-Value.
fn verify(family: KeyFamily, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CmsRefusal> {
    match (family, is_p256(spki)) {
        (KeyFamily::Rsa, false) => {
            verify_signature(spki, Scheme::Pkcs1Sha256, message, signature).map_err(|error| match error {
                Error::Key { defect, .. } => CmsRefusal::WeakKey(defect),
                _ => CmsRefusal::BadSignature,
            })
        }
        (KeyFamily::P256, true) => {
            let key = P256PublicKey::from_spki(spki).map_err(CmsRefusal::WeakKey)?;
            if key.verifies_der(message, signature) { Ok(()) } else { Err(CmsRefusal::BadSignature) }
        }
        // The algorithm is of another kind of key than the certificate's.
        (KeyFamily::Rsa, true) | (KeyFamily::P256, false) => Err(CmsRefusal::Algorithm),
    }
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
