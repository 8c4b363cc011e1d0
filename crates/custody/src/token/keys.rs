//! Keys on a token: finding them, and their public halves.

use aws_lc_rs::digest::{SHA256, digest};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use pkcs8::der::asn1::UintRef;
use pkcs8::der::{Encode as _, Length};
use pki::{KeyFamily, PublicKey};

use crate::error::Error;

use super::face::{leaf_id, objects};
use super::{TokenUri, fault};

/// P-256 as a named curve, DER (RFC 5480 section 2.1.1.1); what CKA_EC_PARAMS holds.
pub(super) const P256_PARAMS: &[u8] = &[0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
/// SubjectPublicKeyInfo of a P-256 key up to its point (RFC 5480 section 2).
const P256_SPKI_HEAD: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86,
    0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// Bytes of an uncompressed point on P-256.
const P256_POINT_LEN: usize = 65;
/// AlgorithmIdentifier rsaEncryption with its NULL (RFC 3279 section 2.3.1).
const RSA_ENCRYPTION: &[u8] =
    &[0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00];

/// A private key on a token, found after login.
#[derive(Clone)]
pub(super) struct PrivateKey {
    pub(super) handle: ObjectHandle,
    pub(super) id: Vec<u8>,
    pub(super) label: Vec<u8>,
    /// Its public half, SubjectPublicKeyInfo, DER.
    pub(super) spki: Vec<u8>,
    pub(super) family: KeyFamily,
    /// Whether the token wants the PIN for each signature: `CKA_ALWAYS_AUTHENTICATE` (PKCS #11 v2.40 section 4.9).
    pub(super) asks_each_time: bool,
    /// Whether the public half comes from the key itself, and not from an object beside it.
    pub(super) proven: bool,
}

/// The key that a URI names. The session is logged in.
pub(super) fn find(session: &Session, uri: &TokenUri) -> Result<PrivateKey, Error> {
    let certificate = match leaf_id(session, uri) {
        Ok(found) => Some(found),
        Err(Error::TokenNoCertificate { .. }) => None,
        Err(error) => return Err(error),
    };
    let class = Attribute::Class(ObjectClass::PRIVATE_KEY);
    let mut handles = Vec::new();
    if let Some(id) = uri.id() {
        handles = objects(session, &[class.clone(), Attribute::Id(id.to_vec())], uri.label())?;
    } else if let Some(object) = uri.object() {
        let label = Attribute::Label(object.as_bytes().to_vec());
        handles = objects(session, &[class.clone(), label], uri.label())?;
    }
    // The certificate may have the URI's label where the key has another; they share their identifier.
    if handles.is_empty()
        && let Some((id, _)) = certificate.as_ref().filter(|(id, _)| !id.is_empty())
    {
        handles = objects(session, &[class.clone(), Attribute::Id(id.clone())], uri.label())?;
    }
    if handles.is_empty() && uri.id().is_none() && uri.object().is_none() {
        handles = objects(session, &[class], uri.label())?;
    }
    let (Some(handle), None) = (handles.first(), handles.get(1)) else {
        let token = uri.label().to_owned();
        return Err(if handles.is_empty() {
            Error::TokenNoKey { token }
        } else {
            Error::TokenAmbiguous { token, what: "private keys".to_owned(), by: "object" }
        });
    };
    let key = read(session, *handle, uri.label(), certificate.as_ref().map(|(_, leaf)| leaf.spki_der()))?;
    match certificate {
        Some((_, leaf)) if leaf.spki_der() != key.spki => {
            Err(Error::KeyMismatch { subject: leaf.subject().to_string() })
        }
        _ => Ok(key),
    }
}

/// Every private key whose public half can be told.
pub(super) fn all(session: &Session, token: &str) -> Result<Vec<PrivateKey>, Error> {
    let handles = objects(session, &[Attribute::Class(ObjectClass::PRIVATE_KEY)], token)?;
    Ok(handles.into_iter().filter_map(|handle| read(session, handle, token, None).ok()).collect())
}

/// Reads a private key's public half: from itself, else from the public key of the same identifier, else what its
/// certificate says.
pub(super) fn read(
    session: &Session,
    handle: ObjectHandle,
    token: &str,
    certified: Option<&[u8]>,
) -> Result<PrivateKey, Error> {
    let wrong = |why: &str| Error::TokenKey { token: token.to_owned(), why: why.to_owned() };
    let found = Parts::of(session, handle, token)?;
    if found.sign == Some(false) {
        return Err(wrong("it is not for signatures"));
    }
    let mut spki = found.spki();
    let proven = spki.is_some();
    if spki.is_none() && !found.id.is_empty() {
        let template = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(found.id.clone())];
        if let Some(public) = objects(session, &template, token)?.first() {
            spki = Parts::of(session, *public, token)?.spki();
        }
    }
    let spki = spki
        .or_else(|| certified.map(<[u8]>::to_vec))
        .ok_or_else(|| wrong("its public half is not on the token, or it is neither RSA nor P-256"))?;
    let family =
        KeyFamily::of(&spki).map_err(|defect| pki::Error::Key { what: "the token's key", defect })?;
    let asks_each_time = found.asks_each_time;
    Ok(PrivateKey { handle, id: found.id, label: found.label, spki, family, asks_each_time, proven })
}

/// What a token tells of one key object.
#[derive(Default)]
struct Parts {
    kind: Option<KeyType>,
    id: Vec<u8>,
    label: Vec<u8>,
    modulus: Option<Vec<u8>>,
    exponent: Option<Vec<u8>>,
    curve: Option<Vec<u8>>,
    point: Option<Vec<u8>>,
    sign: Option<bool>,
    asks_each_time: bool,
}

impl Parts {
    fn of(session: &Session, handle: ObjectHandle, token: &str) -> Result<Self, Error> {
        let wanted = [
            AttributeType::KeyType,
            AttributeType::Id,
            AttributeType::Label,
            AttributeType::Modulus,
            AttributeType::PublicExponent,
            AttributeType::EcParams,
            AttributeType::EcPoint,
            AttributeType::Sign,
            AttributeType::AlwaysAuthenticate,
        ];
        let mut parts = Self::default();
        // One at a time: some modules refuse the whole question for one attribute that the object has not.
        for kind in wanted {
            match session.get_attributes(handle, &[kind]) {
                Ok(values) => values.into_iter().for_each(|value| parts.take(value)),
                Err(error) if fault::is_gone(&error) => return Err(fault::of(token, "read a key")(error)),
                Err(_) => {}
            }
        }
        Ok(parts)
    }

    fn take(&mut self, value: Attribute) {
        match value {
            Attribute::KeyType(kind) => self.kind = Some(kind),
            Attribute::Id(id) => self.id = id,
            Attribute::Label(label) => self.label = label,
            Attribute::Modulus(modulus) => self.modulus = Some(modulus),
            Attribute::PublicExponent(exponent) => self.exponent = Some(exponent),
            Attribute::EcParams(curve) => self.curve = Some(curve),
            Attribute::EcPoint(point) => self.point = Some(point),
            Attribute::Sign(sign) => self.sign = Some(sign),
            Attribute::AlwaysAuthenticate(each_time) => self.asks_each_time = each_time,
            _ => {}
        }
    }

    fn spki(&self) -> Option<Vec<u8>> {
        match self.kind {
            Some(KeyType::RSA) => rsa_spki(self.modulus.as_deref()?, self.exponent.as_deref()?),
            Some(KeyType::EC) if self.curve.as_deref() == Some(P256_PARAMS) => {
                p256_spki(self.point.as_deref()?)
            }
            _ => None,
        }
    }
}

fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    let integer = |bytes| UintRef::new(bytes).ok()?.to_der().ok();
    let key = tlv(0x30, &[integer(modulus)?, integer(exponent)?].concat())?;
    let bits = tlv(0x03, &[&[0][..], &key].concat())?;
    tlv(0x30, &[RSA_ENCRYPTION, &bits].concat())
}

/// A point as CKA_EC_POINT has it: in an OCTET STRING (PKCS #11 v2.40 section 2.3.3), or bare, as some modules give it.
fn p256_spki(point: &[u8]) -> Option<Vec<u8>> {
    let bare = match point {
        [0x04, 0x41, rest @ ..] if rest.len() == P256_POINT_LEN => rest,
        bare if bare.len() == P256_POINT_LEN => bare,
        _ => return None,
    };
    Some([P256_SPKI_HEAD, bare].concat())
}

fn tlv(tag: u8, value: &[u8]) -> Option<Vec<u8>> {
    let length = Length::try_from(value.len()).ok()?.to_der().ok()?;
    Some([&[tag][..], &length, value].concat())
}

/// Bits of an RSA key.
pub(super) fn rsa_bits(spki: &[u8]) -> Option<usize> {
    PublicKey::from_spki(spki).ok().map(|key| key.bits())
}

/// SHA-256 of `bytes`.
pub(super) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}
