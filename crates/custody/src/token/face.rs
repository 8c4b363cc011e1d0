//! The certificates on a token, which it shows without a PIN.

use cryptoki::object::{Attribute, AttributeType, CertificateType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use pki::{Certificate, MAX_INTERMEDIATES};

use crate::card::CardFace;
use crate::error::Error;

use super::{TokenUri, fault};

/// Objects of one kind looked at on a token, at most.
pub(super) const MAX_OBJECTS: usize = 64;

/// A certificate object.
pub(super) struct Held {
    pub(super) handle: ObjectHandle,
    pub(super) id: Vec<u8>,
    pub(super) der: Vec<u8>,
    label: Vec<u8>,
}

/// The certificate that a URI names and those above it.
pub(super) fn read(session: &Session, uri: &TokenUri) -> Result<CardFace, Error> {
    let held = certificates(session, uri.label())?;
    let (_, certificate) = leaf(session, uri, &held)?;
    let others: Vec<Certificate> =
        held.iter().filter_map(|held| Certificate::from_der(&held.der).ok()).collect();
    Ok(CardFace { chain: above(&certificate, &others), certificate })
}

/// The identifier under which the certificate that a URI names is kept: its key has the same.
pub(super) fn leaf_id(session: &Session, uri: &TokenUri) -> Result<(Vec<u8>, Certificate), Error> {
    let held = certificates(session, uri.label())?;
    leaf(session, uri, &held)
}

/// Whether a certificate object with exactly these bytes is there now.
pub(super) fn holds(session: &Session, der: &[u8]) -> bool {
    let template = [Attribute::Class(ObjectClass::CERTIFICATE), Attribute::Value(der.to_vec())];
    let Ok(Some(Ok(found))) = session.iter_objects(&template).map(|mut objects| objects.next()) else {
        return false;
    };
    // Read anew, since what a search finds may come from a list in memory.
    let value = session.get_attributes(found, &[AttributeType::Value]);
    value.is_ok_and(|value| value.iter().any(|value| matches!(value, Attribute::Value(now) if now == der)))
}

pub(super) fn certificates(session: &Session, token: &str) -> Result<Vec<Held>, Error> {
    let template =
        [Attribute::Class(ObjectClass::CERTIFICATE), Attribute::CertificateType(CertificateType::X_509)];
    objects(session, &template, token)?.into_iter().map(|handle| held(session, handle, token)).collect()
}

/// At most [`MAX_OBJECTS`] that fit.
pub(super) fn objects(
    session: &Session,
    template: &[Attribute],
    token: &str,
) -> Result<Vec<ObjectHandle>, Error> {
    let fault = |error| fault::of(token, "look for an object")(error);
    let found = session.iter_objects(template).map_err(fault)?.take(MAX_OBJECTS);
    found.collect::<Result<_, _>>().map_err(fault)
}

fn held(session: &Session, handle: ObjectHandle, token: &str) -> Result<Held, Error> {
    let wanted = [AttributeType::Id, AttributeType::Label, AttributeType::Value];
    let attributes =
        session.get_attributes(handle, &wanted).map_err(fault::of(token, "read a certificate"))?;
    let mut held = Held { handle, id: Vec::new(), der: Vec::new(), label: Vec::new() };
    for attribute in attributes {
        match attribute {
            Attribute::Id(id) => held.id = id,
            Attribute::Label(label) => held.label = label,
            Attribute::Value(der) => held.der = der,
            _ => {}
        }
    }
    Ok(held)
}

fn leaf(session: &Session, uri: &TokenUri, held: &[Held]) -> Result<(Vec<u8>, Certificate), Error> {
    let token = || uri.label().to_owned();
    let named = if uri.id().is_some() || uri.object().is_some() {
        let named = named(session, uri, held)?;
        // The one that is meant must be readable, or it is told why not.
        named
            .into_iter()
            .map(|held| Ok((held.id.clone(), Certificate::from_der(&held.der)?)))
            .collect::<Result<Vec<_>, Error>>()?
    } else {
        let readable = |held: &Held| Some((held.id.clone(), Certificate::from_der(&held.der).ok()?));
        let all: Vec<_> = held.iter().filter_map(readable).collect();
        let leaves: Vec<_> = all.iter().filter(|(_, certificate)| !certificate.is_ca()).cloned().collect();
        // A token with a root's key has nothing but certificates of authorities.
        if leaves.is_empty() { all.into_iter().filter(|(id, _)| !id.is_empty()).collect() } else { leaves }
    };
    let Some((_, first)) = named.first() else { return Err(Error::TokenNoCertificate { token: token() }) };
    if named.iter().any(|(_, other)| other.spki_der() != first.spki_der()) {
        return Err(Error::TokenAmbiguous {
            token: token(),
            what: "certificates of several keys".to_owned(),
            by: "object",
        });
    }
    // A renewal that was cut short leaves two certificates of one key: the newer counts.
    let newest = named.into_iter().max_by_key(|(_, certificate)| certificate.not_before());
    newest.ok_or_else(|| Error::TokenNoCertificate { token: token() })
}

/// Certificates with the URI's identifier and label. On many cards a key's label is not its certificate's: then the public
/// key of that label tells the identifier.
fn named<'a>(session: &Session, uri: &TokenUri, held: &'a [Held]) -> Result<Vec<&'a Held>, Error> {
    let with_id = |held: &&Held| uri.id().is_none_or(|id| id == held.id);
    let Some(object) = uri.object() else { return Ok(held.iter().filter(with_id).collect()) };
    let found: Vec<_> = held.iter().filter(with_id).filter(|held| held.label == object.as_bytes()).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let template = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Label(object.as_bytes().to_vec())];
    let mut ids = Vec::new();
    for key in objects(session, &template, uri.label())? {
        let id = session
            .get_attributes(key, &[AttributeType::Id])
            .map_err(fault::of(uri.label(), "read a public key"))?;
        ids.extend(id.into_iter().filter_map(|id| match id {
            Attribute::Id(id) if !id.is_empty() => Some(id),
            _ => None,
        }));
    }
    Ok(held.iter().filter(with_id).filter(|held| ids.contains(&held.id)).collect())
}

/// Those of `others` above a certificate, nearest first.
fn above(leaf: &Certificate, others: &[Certificate]) -> Vec<Certificate> {
    let mut chain: Vec<Certificate> = Vec::new();
    let mut last = leaf;
    while chain.len() <= MAX_INTERMEDIATES && last.issuer() != last.subject() {
        let issuer = others.iter().find(|other| other.is_ca() && other.subject() == last.issuer());
        let Some(issuer) = issuer.filter(|issuer| !chain.contains(issuer)) else { break };
        chain.push(issuer.clone());
        last = issuer;
    }
    chain
}
