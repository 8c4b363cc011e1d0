//! Ceremony nonces for collecting in suite 02, and the device keys that were seen (3-hardened.md, A).

use wire::Serial;

use super::collection::Person;

/// A nonce to be given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCeremony {
    /// DF14 of COLLECT: random.
    pub nonce: [u8; 32],
    /// For which station; any text for a collection window.
    pub station: String,
    /// Who asked for it.
    pub operator: Person,
    /// The collection window that it is for, if it is for one: then one nonce serves the whole window.
    pub window: Option<i64>,
    /// Until when it is good, Unix milliseconds.
    pub expires_at: i64,
}

/// A nonce that was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CeremonyRecord {
    /// What was given.
    pub ceremony: NewCeremony,
    /// When, Unix milliseconds.
    pub given_at: i64,
}

/// A device certificate, checked by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeviceCertificate {
    /// SHA-256 of the certificate, lower-case hex.
    pub sha256: String,
    /// SHA-256 of its SubjectPublicKeyInfo, lower-case hex: what is unique over the estate.
    pub spki_sha256: String,
    /// The certificate, DER.
    pub der: Vec<u8>,
}

/// A device certificate as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCertificateRecord {
    /// The terminal that it came with last.
    pub sn: Serial,
    /// The PIN pad whose key it is.
    pub key_serial: Serial,
    /// The certificate.
    pub certificate: NewDeviceCertificate,
    /// The highest generation (DF18) that was signed with it.
    pub generation: u64,
    /// When it was first seen, Unix milliseconds.
    pub created_at: i64,
}
