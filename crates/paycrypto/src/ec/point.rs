//! Public keys for key agreement.

use aws_lc_rs::agreement::{ECDH_P256, ParsedPublicKey, UnparsedPublicKey};

use crate::Error;

/// Bytes of an uncompressed point: `04 ‖ x ‖ y`.
pub const POINT: usize = 65;

/// First byte of an uncompressed point (SEC 1 section 2.3.3).
pub(super) const UNCOMPRESSED: u8 = 0x04;

/// SubjectPublicKeyInfo of a P-256 key up to its point (RFC 5480 section 2): id-ecPublicKey, secp256r1, BIT STRING.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86,
    0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A peer's public key for key agreement: a point that is on the curve P-256 and not at infinity.
#[derive(Clone)]
pub struct PublicPoint {
    bytes: [u8; POINT],
    parsed: ParsedPublicKey,
}

impl PublicPoint {
    /// Reads an uncompressed point (DF13).
    ///
    /// # Errors
    /// [`Error::Point`] for another length or form, and for a point that is not on the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bytes: [u8; POINT] = bytes.try_into().map_err(|_| Error::Point)?;
        // The library would take hybrid points of this length too: they have two spellings, so they are refused.
        if bytes.first() != Some(&UNCOMPRESSED) {
            return Err(Error::Point);
        }
        let parsed =
            ParsedPublicKey::try_from(UnparsedPublicKey::new(&ECDH_P256, bytes)).map_err(|_| Error::Point)?;
        Ok(Self { bytes, parsed })
    }

    /// Reads the SubjectPublicKeyInfo of a certificate (DER), in the one form that RFC 5480 gives an uncompressed
    /// point on a named curve.
    ///
    /// # Errors
    /// [`Error::Point`].
    pub fn from_spki(spki: &[u8]) -> Result<Self, Error> {
        spki.strip_prefix(&SPKI_PREFIX).ok_or(Error::Point).and_then(Self::from_bytes)
    }

    /// The point, uncompressed.
    pub fn as_bytes(&self) -> &[u8; POINT] {
        &self.bytes
    }

    pub(super) fn parsed(&self) -> ParsedPublicKey {
        self.parsed.clone()
    }
}

impl PartialEq for PublicPoint {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for PublicPoint {}

impl std::fmt::Debug for PublicPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PublicPoint")
    }
}

/// A point as SubjectPublicKeyInfo, DER: what a certificate or a request for one holds.
pub(super) fn spki(point: &[u8; POINT]) -> Vec<u8> {
    [SPKI_PREFIX.as_slice(), point].concat()
}
