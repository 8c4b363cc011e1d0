//! A certificate and those between it and its root (DF0C, DF0D), as several messages carry them.

use alloc::{borrow::ToOwned, vec::Vec};

use wire::{Fields, Malformed, Tag};

/// Most intermediate certificates that DF0D may bring.
pub const MAX_INTERMEDIATES: usize = 8;

/// First byte of a certificate in DER: SEQUENCE.
const DER_SEQUENCE: u8 = 0x30;

/// A certificate with its intermediates, nearest to it first; all X.509 DER. Cut apart here and believed by nobody: the
/// driver checks chain, dates and role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The certificate (DF0C).
    pub leaf: Vec<u8>,
    /// Those between it and the root (DF0D).
    pub intermediates: Vec<Vec<u8>>,
}

impl Chain {
    /// The chain among these fields.
    pub(crate) fn read(fields: &Fields) -> Result<Chain, Malformed> {
        Ok(Chain {
            leaf: not_empty(Tag::CERTIFICATE, fields.required(Tag::CERTIFICATE)?)?.to_owned(),
            intermediates: split_der(fields.get(Tag::INTERMEDIATES).unwrap_or_default())?,
        })
    }

    /// Adds DF0C and, where there are any, DF0D.
    pub(crate) fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::CERTIFICATE, &self.leaf)?;
        if self.intermediates.is_empty() {
            return Ok(());
        }
        fields.push(Tag::INTERMEDIATES, &self.intermediates.concat())
    }
}

/// A value that must not be empty.
pub(crate) fn not_empty(tag: Tag, value: &[u8]) -> Result<&[u8], Malformed> {
    if value.is_empty() { Err(Malformed::FieldLength { tag, found: 0 }) } else { Ok(value) }
}

/// Cuts concatenated DER certificates apart, without looking into them.
pub(crate) fn split_der(mut rest: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let malformed = Malformed::FieldValue { tag: Tag::INTERMEDIATES };
    let mut certificates = Vec::new();
    while !rest.is_empty() {
        let (certificate, after) =
            der_length(rest).and_then(|length| rest.split_at_checked(length)).ok_or(malformed)?;
        if certificates.len() == MAX_INTERMEDIATES {
            return Err(malformed);
        }
        certificates.push(certificate.to_owned());
        rest = after;
    }
    Ok(certificates)
}

/// Bytes that the DER SEQUENCE at the start takes, header included. A frame cannot carry one whose length takes more
/// than two bytes.
fn der_length(bytes: &[u8]) -> Option<usize> {
    match *bytes {
        [DER_SEQUENCE, length @ ..=0x7F, ..] => Some(2 + usize::from(length)),
        [DER_SEQUENCE, 0x81, length @ 0x80..=0xFF, ..] => Some(3 + usize::from(length)),
        [DER_SEQUENCE, 0x82, high @ 1..=0xFF, low, ..] => {
            Some(4 + usize::from(u16::from_be_bytes([high, low])))
        }
        _ => None,
    }
}
