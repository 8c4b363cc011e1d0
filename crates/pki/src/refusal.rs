//! Why a certificate is not believed: one variant for each reason, for the audit.

use const_oid::ObjectIdentifier;

use crate::key::KeyDefect;
use crate::role::Role;

/// The exact reason why [`crate::verify_chain`] refused. `subject` is the name in the certificate in question,
/// with control characters taken out; times are unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateRefusal {
    /// The time is before notBefore.
    #[error("the certificate of {subject} is not valid before {}", crate::time::text(*.since))]
    NotYetValid {
        /// Whose certificate.
        subject: String,
        /// When it begins.
        since: i64,
    },
    /// The time is after notAfter.
    #[error("the certificate of {subject} expired at {}: issue a new one", crate::time::text(*.since))]
    Expired {
        /// Whose certificate.
        subject: String,
        /// When it ended.
        since: i64,
    },
    /// Whoever checks has accepted a newer certificate of the same subject, role and issuer before.
    #[error("a newer certificate of {subject} was accepted before: this one is not believed any more")]
    Superseded {
        /// Whose certificate.
        subject: String,
    },
    /// The leaf has another role than the one asked for.
    #[error("the certificate of {subject} has the role {found}, not {wanted}")]
    WrongRole {
        /// Whose certificate.
        subject: String,
        /// What was asked for.
        wanted: Role,
        /// What it is.
        found: Role,
    },
    /// The leaf has no extended key usage, or one that is no role.
    #[error("the certificate of {subject} has no role")]
    NoRole {
        /// Whose certificate.
        subject: String,
    },
    /// The leaf has more than one extended key usage.
    #[error("the certificate of {subject} has {count} extended key usages; a role stands alone")]
    SeveralRoles {
        /// Whose certificate.
        subject: String,
        /// How many it has.
        count: usize,
    },
    /// The leaf's extended key usage is not critical.
    #[error("the certificate of {subject} has an extended key usage that is not critical")]
    EkuNotCritical {
        /// Whose certificate.
        subject: String,
    },
    /// A CA has an extended key usage, which this profile does not know.
    #[error("the CA certificate of {subject} has an extended key usage")]
    EkuInCa {
        /// Whose certificate.
        subject: String,
    },
    /// The root is trusted, but not for this role.
    #[error("the root {root} may not issue certificates of the role {role}")]
    RoleNotAllowedForRoot {
        /// The root's name.
        root: String,
        /// The role asked for.
        role: Role,
    },
    /// The chain ends at a root that is not trusted.
    #[error("the certificate of {subject} leads to no trusted root (issuer {issuer})")]
    UnknownRoot {
        /// The last certificate of the chain.
        subject: String,
        /// The issuer that it names.
        issuer: String,
    },
    /// A certificate of the chain was not issued by the next one.
    #[error("the certificate of {subject} names {issuer} as its issuer, but {next} follows in the chain")]
    NameChaining {
        /// Whose certificate.
        subject: String,
        /// The issuer that it names.
        issuer: String,
        /// The subject of the next certificate.
        next: String,
    },
    /// The signature of a certificate does not verify under its issuer's key.
    #[error("the signature of the certificate of {subject} does not verify")]
    BadSignature {
        /// Whose certificate.
        subject: String,
    },
    /// The certificate is on its issuer's revocation list.
    #[error("the certificate of {subject} was revoked at {}", crate::time::text(*.when))]
    Revoked {
        /// Whose certificate.
        subject: String,
        /// Since when.
        when: i64,
    },
    /// The issuer's newest revocation list is older than it may be.
    #[error("the revocation list of {issuer} was due for renewal at {}: fetch a new one", crate::time::text(*.since))]
    CrlExpired {
        /// Whose list.
        issuer: String,
        /// Its nextUpdate.
        since: i64,
    },
    /// The issuer's newest revocation list is from the future.
    #[error("the revocation list of {issuer} is not valid before {}", crate::time::text(*.since))]
    CrlNotYetValid {
        /// Whose list.
        issuer: String,
        /// Its thisUpdate.
        since: i64,
    },
    /// There are revocation lists in the issuer's name, but none that the issuer signed.
    #[error("no revocation list in the name of {issuer} is signed by it")]
    CrlSignature {
        /// Whose list.
        issuer: String,
    },
    /// The policy demands a revocation list and there is none.
    #[error("there is no revocation list of {issuer}, and one is required: fetch it")]
    CrlMissing {
        /// Whose list.
        issuer: String,
    },
    /// A certificate that issued another one is no CA.
    #[error("the certificate of {subject} issued another one, but is not a CA")]
    NotACa {
        /// Whose certificate.
        subject: String,
    },
    /// More CAs follow a CA than it allows.
    #[error("the CA {subject} allows {allowed} CAs below it; {found} follow")]
    PathLength {
        /// Whose certificate.
        subject: String,
        /// What it allows.
        allowed: u8,
        /// What follows.
        found: usize,
    },
    /// Key usage is absent, not critical, or not what the role or a CA has.
    #[error("the certificate of {subject} has not the key usage of its role, marked critical")]
    KeyUsage {
        /// Whose certificate.
        subject: String,
    },
    /// A device certificate without the one serial number that says whose it is.
    #[error("the device certificate of {subject} does not say in its subject which PIN pad it belongs to")]
    SerialNumber {
        /// Whose certificate.
        subject: String,
    },
    /// Basic constraints are absent, not critical, or say that a leaf is a CA.
    #[error("the certificate of {subject} has not the critical basic constraints of its place in the chain")]
    BasicConstraints {
        /// Whose certificate.
        subject: String,
    },
    /// The key is none that this suite uses.
    #[error("the certificate of {subject}: {defect}")]
    WeakKey {
        /// Whose certificate.
        subject: String,
        /// What is wrong with its key.
        defect: KeyDefect,
    },
    /// A critical extension that this crate does not understand.
    #[error("the certificate of {subject} has the critical extension {oid}, which is not understood")]
    UnknownCriticalExtension {
        /// Whose certificate.
        subject: String,
        /// Which extension.
        oid: ObjectIdentifier,
    },
    /// More intermediates than are looked at.
    #[error("the chain has {found} intermediate certificates, more than the {max} that are accepted")]
    ChainTooLong {
        /// How many there are.
        found: usize,
        /// How many may be.
        max: usize,
    },
    /// Not signed by the algorithm that the whole chain must have: RSA PKCS #1 v1.5 with SHA-256 in suite 01, ECDSA
    /// P-256 with SHA-256 in suite 02 and for its roles.
    #[error("the certificate of {subject} is not signed by the algorithm of its suite, with SHA-256")]
    Algorithm {
        /// Whose certificate.
        subject: String,
    },
    /// Bytes that are no certificate: for callers that read and check in one step.
    #[error(transparent)]
    Malformed(#[from] crate::error::Error),
}
