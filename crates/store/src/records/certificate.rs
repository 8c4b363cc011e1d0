//! Certificates, work keys and revocation lists.

use wire::Suite;

/// A certificate to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCertificate {
    /// Role in words, for listings: `kms-work`, `operator`, `root`.
    pub role: String,
    /// SHA-256 of the DER, lower-case hex.
    pub sha256: String,
    /// The certificate.
    pub der: Vec<u8>,
}

/// A certificate as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRecord {
    /// Role in words.
    pub role: String,
    /// SHA-256 of the DER, lower-case hex.
    pub sha256: String,
    /// The certificate.
    pub der: Vec<u8>,
    /// When it was entered, Unix milliseconds.
    pub created_at: i64,
}

/// Whether TKs are still collected under a work key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkKeyState {
    /// New collections use it. One at a time of each suite: a new one makes the old one opening-only.
    Active,
    /// Kept to open what was collected under it (1-systems.md A, Decided).
    OpeningOnly,
}

/// A work key pair whose private half the HSM gave out as a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWorkKey {
    /// Its certificate's SHA-256, lower-case hex; the certificate itself must be kept first.
    pub certificate_sha256: String,
    /// The private key as an X9.143 block under the HSM's master key.
    pub private_block: String,
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// The certificates between it and its root, which COLLECT brings along: DER, one behind the other, nearest first.
    pub intermediates: Vec<u8>,
    /// Active or opening-only.
    pub state: WorkKeyState,
    /// The suite that it collects in.
    pub suite: Suite,
}

/// A work key as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkKeyRecord {
    /// Its certificate's SHA-256, lower-case hex.
    pub certificate_sha256: String,
    /// The private key as an X9.143 block under the HSM's master key.
    pub private_block: String,
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// The certificates between it and its root, which COLLECT brings along: DER, one behind the other, nearest first.
    pub intermediates: Vec<u8>,
    /// Active or opening-only.
    pub state: WorkKeyState,
    /// The suite that it collects in.
    pub suite: Suite,
    /// When it was entered, Unix milliseconds.
    pub created_at: i64,
}

/// A revocation list whose signature the caller has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRevocationList {
    /// The issuer: its subject as the caller prints it. The store keeps the newest list of each.
    pub issuer: String,
    /// The list's number; it only goes up (4-requirements.md R21).
    pub number: u64,
    /// The list, DER.
    pub der: Vec<u8>,
}

/// A revocation list as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationListRecord {
    /// The issuer.
    pub issuer: String,
    /// The list's number.
    pub number: u64,
    /// The list, DER.
    pub der: Vec<u8>,
    /// When it was entered, Unix milliseconds.
    pub created_at: i64,
}

/// What became of [`Store::put_revocation_list`](crate::Store::put_revocation_list).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationOutcome {
    /// It is the issuer's newest list now.
    Stored,
    /// A list with this number or a higher one is here. Nothing was written.
    NotNewer {
        /// The number that is here.
        have: u64,
    },
}
