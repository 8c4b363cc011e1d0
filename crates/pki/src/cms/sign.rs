//! Making a signed package.

use der::Encode;

use super::{MAX_CERTIFICATES, MAX_CMS_LEN, oids, open};
use crate::certificate::Certificate;
use crate::error::Error;
use crate::key::{Signer, sha256};
use crate::signed::{self, algorithm_of};
use crate::{time, tlv};

const WHAT: &str = "the new package";
/// INTEGER 1: the version of SignedData and SignerInfo for content of type data and a signer known by issuer
/// and serial number (RFC 5652 sections 5.1 and 5.3).
const VERSION_1: &[u8] = &[0x02, 0x01, 0x01];

/// One who signs a package: the key's holder and what the package carries of them.
#[derive(Clone, Copy)]
pub struct Signatory<'a> {
    /// The holder of the key.
    pub signer: &'a dyn Signer,
    /// The certificate of that key.
    pub certificate: &'a Certificate,
    /// The certificates above it (and the root, where wanted): every one must lie on its chain.
    pub chain: &'a [Certificate],
}

/// Signs `content` and gives SignedData in DER with the content attached.
///
/// `signer_certificate` is the one of the signer's key; `extra` its intermediates (and root, where wanted):
/// every one must lie on its chain. `signing_time` is in unix seconds.
///
/// # Errors
/// [`Error::Request`] when the certificate has another key or the result would not open,
/// [`Error::Sign`] when the signer does not sign, [`Error::TooLong`] for content beyond the limit.
pub fn sign(
    content: &[u8],
    signer: &dyn Signer,
    signer_certificate: &Certificate,
    extra: &[Certificate],
    signing_time: i64,
) -> Result<Vec<u8>, Error> {
    let signatory = Signatory { signer, certificate: signer_certificate, chain: extra };
    sign_by_all(content, &[signatory], signing_time)
}

/// Has two people sign the same content, each with a SignerInfo of their own, and gives SignedData as [`sign`] does. Neither
/// signature is over the other: their order means nothing.
///
/// # Errors
/// As [`sign`], for either; [`Error::Request`] also when both are of one certificate.
pub fn sign_by_both(content: &[u8], both: [Signatory<'_>; 2], signing_time: i64) -> Result<Vec<u8>, Error> {
    sign_by_all(content, &both, signing_time)
}

fn sign_by_all(content: &[u8], signatories: &[Signatory<'_>], signing_time: i64) -> Result<Vec<u8>, Error> {
    if content.len() > MAX_CMS_LEN {
        return Err(Error::TooLong { what: "the content", len: content.len(), max: MAX_CMS_LEN });
    }
    let mut certificates: Vec<Vec<u8>> = Vec::new();
    for member in signatories.iter().flat_map(|one| std::iter::once(one.certificate).chain(one.chain)) {
        let der = member.der().to_vec();
        if !certificates.contains(&der) {
            certificates.push(der);
        }
    }
    if certificates.len() > MAX_CERTIFICATES {
        return Err(Error::Request(format!("more than {MAX_CERTIFICATES} certificates do not fit")));
    }
    let attributes = signed_attributes(content, signing_time)?;
    let infos = signatories
        .iter()
        .map(|signatory| signer_info(signatory, &attributes))
        .collect::<Result<Vec<_>, _>>()?;

    let octets = tlv::encode(tlv::OCTET_STRING, &[content]);
    let encapsulated = tlv::encode(tlv::SEQUENCE, &[oids::DATA, &tlv::encode(tlv::CONTEXT_0, &[&octets])]);
    let signed_data = tlv::encode(
        tlv::SEQUENCE,
        &[
            VERSION_1,
            &tlv::encode(tlv::SET, &[oids::SHA256]),
            &encapsulated,
            &tlv::encode_set_of(tlv::CONTEXT_0, certificates),
            &tlv::encode_set_of(tlv::SET, infos),
        ],
    );
    let package =
        tlv::encode(tlv::SEQUENCE, &[oids::SIGNED_DATA, &tlv::encode(tlv::CONTEXT_0, &[&signed_data])]);
    // What does not open here would not open there: a faulty signer or a stray certificate is found now.
    open(&package).map_err(|refusal| Error::Request(format!("the package would be refused: {refusal}")))?;
    Ok(package)
}

/// One SignerInfo (RFC 5652 section 5.3) over the attributes.
fn signer_info(signatory: &Signatory<'_>, attributes: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let Signatory { signer, certificate, .. } = signatory;
    if signer.spki_der() != certificate.spki_der() {
        return Err(Error::Request(format!(
            "the key does not belong to the certificate of {}: use the key that it was issued for",
            certificate.subject()
        )));
    }
    // RFC 5652 section 5.4: signed under the tag of a SET, carried under [0].
    let signature = signed::sign(*signer, &tlv::encode_set_of(tlv::SET, attributes.to_vec()))?;
    Ok(tlv::encode(
        tlv::SEQUENCE,
        &[
            VERSION_1,
            &issuer_and_serial(certificate)?,
            oids::SHA256,
            &tlv::encode_set_of(tlv::CONTEXT_0, attributes.to_vec()),
            algorithm_of(signer.spki_der()),
            &tlv::encode(tlv::OCTET_STRING, &[&signature]),
        ],
    ))
}

/// The attributes, each encoded.
fn signed_attributes(content: &[u8], signing_time: i64) -> Result<Vec<Vec<u8>>, Error> {
    let time = time::from_unix(signing_time)?.to_der().map_err(|error| Error::malformed(WHAT, error))?;
    let digest = tlv::encode(tlv::OCTET_STRING, &[&sha256(content)]);
    let attribute =
        |oid: &[u8], value: &[u8]| tlv::encode(tlv::SEQUENCE, &[oid, &tlv::encode(tlv::SET, &[value])]);
    Ok(vec![
        attribute(oids::CONTENT_TYPE, oids::DATA),
        attribute(oids::SIGNING_TIME, &time),
        attribute(oids::MESSAGE_DIGEST, &digest),
    ])
}

/// IssuerAndSerialNumber of a certificate.
fn issuer_and_serial(certificate: &Certificate) -> Result<Vec<u8>, Error> {
    let serial = certificate.serial();
    let top = serial.first().ok_or_else(|| Error::malformed(WHAT, "the certificate has no serial number"))?;
    let zero: &[u8] = if *top >= 0x80 { &[0] } else { &[] };
    let serial = tlv::encode(tlv::INTEGER, &[zero, serial]);
    Ok(tlv::encode(tlv::SEQUENCE, &[certificate.issuer().der(), &serial]))
}
