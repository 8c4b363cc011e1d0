//! P-256 public keys of suite 02 and their ECDSA signatures (3-hardened.md, "Primitives").

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use x509_cert::ext::pkix::KeyUsages;

use crate::chain::Verified;
use crate::key::{KeyDefect, KeyFamily};
use crate::refusal::CertificateRefusal;
use crate::tlv;

/// Bytes of an uncompressed point: `04 ‖ x ‖ y`.
pub const P256_POINT_LEN: usize = 65;
/// Bytes of a signature r ‖ s.
pub const P256_SIGNATURE_LEN: usize = 64;

/// SubjectPublicKeyInfo of a P-256 key up to its point, in the one form that RFC 5480 section 2 gives an uncompressed
/// point on a named curve: id-ecPublicKey, secp256r1, BIT STRING.
const SPKI_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86,
    0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// First byte of an uncompressed point (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 0x04;

/// A P-256 public key that is on the curve.
#[derive(Debug, Clone)]
pub struct P256PublicKey {
    point: [u8; P256_POINT_LEN],
    parsed: ParsedPublicKey,
}

impl P256PublicKey {
    /// Reads a SubjectPublicKeyInfo (DER, whole input): a named curve, the point uncompressed.
    ///
    /// # Errors
    /// [`KeyDefect::NotP256`] for any other key or form, [`KeyDefect::Point`] for a point that is not on the curve.
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyDefect> {
        let point = spki.strip_prefix(SPKI_PREFIX).ok_or(KeyDefect::NotP256)?;
        let point: [u8; P256_POINT_LEN] = point.try_into().map_err(|_| KeyDefect::NotP256)?;
        if point.first() != Some(&UNCOMPRESSED) {
            return Err(KeyDefect::NotP256);
        }
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| KeyDefect::Point)?;
        Ok(Self { point, parsed })
    }

    /// The point, uncompressed.
    #[must_use]
    pub fn point(&self) -> &[u8; P256_POINT_LEN] {
        &self.point
    }

    /// Whether `signature`, raw r ‖ s, is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }

    /// Whether `signature`, raw r ‖ s, is this key's over the message with this SHA-256 value: TH of 3-hardened.md is
    /// the digest of a transcript and is not hashed again.
    #[must_use]
    pub fn verifies_digest(&self, digest: &[u8; 32], signature: &[u8]) -> bool {
        Digest::import_less_safe(digest, &SHA256)
            .is_ok_and(|digest| self.parsed.verify_digest_sig(&digest, signature).is_ok())
    }

    /// Whether `signature`, an Ecdsa-Sig-Value of RFC 3279 section 2.2.3, is this key's over `message`.
    pub(crate) fn verifies_der(&self, message: &[u8], signature: &[u8]) -> bool {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.point)
            .is_ok_and(|key| key.verify_sig(message, signature).is_ok())
    }
}

impl PartialEq for P256PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.point == other.point
    }
}

impl Eq for P256PublicKey {}

/// Whether a SubjectPublicKeyInfo says that it holds a P-256 key.
pub(crate) fn is_p256(spki: &[u8]) -> bool {
    spki.starts_with(SPKI_PREFIX)
}

/// r ‖ s as Ecdsa-Sig-Value: `None` for another length.
pub(crate) fn to_der(raw: &[u8]) -> Option<Vec<u8>> {
    let raw: &[u8; P256_SIGNATURE_LEN] = raw.try_into().ok()?;
    let (r, s) = raw.split_at(P256_SIGNATURE_LEN / 2);
    Some(tlv::encode(tlv::SEQUENCE, &[&integer(r), &integer(s)]))
}

/// A number as INTEGER: no zeros in front but the one that keeps it positive.
fn integer(magnitude: &[u8]) -> Vec<u8> {
    let zeros =
        magnitude.iter().take_while(|byte| **byte == 0).count().min(magnitude.len().saturating_sub(1));
    let magnitude = magnitude.get(zeros..).unwrap_or_default();
    let sign: &[u8] = if magnitude.first().is_some_and(|byte| *byte >= 0x80) { &[0] } else { &[] };
    tlv::encode(tlv::INTEGER, &[sign, magnitude])
}

/// What the key of a checked certificate of suite 02 is for. Signing and key agreement have different keys with different
/// certificates, so each is lent out only by the one for it.
impl Verified {
    /// The key that verifies this party's signatures.
    ///
    /// # Errors
    /// [`CertificateRefusal::KeyUsage`] when the certificate is for key agreement, [`CertificateRefusal::WeakKey`] when
    /// its key is not P-256.
    pub fn signing_key(&self) -> Result<P256PublicKey, CertificateRefusal> {
        self.p256_key(KeyUsages::DigitalSignature)
    }

    /// The point that keys are agreed with.
    ///
    /// # Errors
    /// [`CertificateRefusal::KeyUsage`] when the certificate is for signatures, [`CertificateRefusal::WeakKey`] when its
    /// key is not P-256.
    pub fn agreement_point(&self) -> Result<[u8; P256_POINT_LEN], CertificateRefusal> {
        self.p256_key(KeyUsages::KeyAgreement).map(|key| key.point)
    }

    /// The serial number in the subject: of a device certificate, the PIN pad's serial. Who receives one compares it
    /// with the message's DF03, or with DF02 where DF03 is absent.
    #[must_use]
    pub fn serial_number(&self) -> Option<&str> {
        self.certificate().subject().serial_number()
    }

    fn p256_key(&self, usage: KeyUsages) -> Result<P256PublicKey, CertificateRefusal> {
        let subject = || self.certificate().subject().to_string();
        let key = P256PublicKey::from_spki(self.certificate().spki_der())
            .map_err(|defect| CertificateRefusal::WeakKey { subject: subject(), defect })?;
        match &self.certificate().extensions().key_usage {
            Some(found) if found.value == usage => Ok(key),
            _ => Err(CertificateRefusal::KeyUsage { subject: subject() }),
        }
    }
}

impl KeyFamily {
    /// The family of a public key (SubjectPublicKeyInfo, DER), its size, exponent or point checked.
    ///
    /// # Errors
    /// The [`KeyDefect`] that the key has.
    pub fn of(spki: &[u8]) -> Result<Self, KeyDefect> {
        let family = if is_p256(spki) { Self::P256 } else { Self::Rsa };
        family.check(spki).map(|()| family)
    }
}
