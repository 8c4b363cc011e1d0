//! Why a package was not opened.

use crate::error::Error;
use crate::key::KeyDefect;

/// The exact reason why [`super::open`] refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CmsRefusal {
    /// Longer than is looked at.
    #[error("the package has {len} bytes, more than the {max} that are accepted: send less at a time")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// Not a CMS SignedData in DER.
    #[error("the package is malformed: {0}")]
    Malformed(&'static str),
    /// The content is not attached.
    #[error("the package has no content: sign it with the content attached")]
    Detached,
    /// Not signed by as many as are wanted.
    #[error("the package has {found} signers; {wanted} wanted")]
    SignerCount {
        /// How many signed.
        found: usize,
        /// How many should have (at most, where two are).
        wanted: usize,
    },
    /// The same person's key signed twice.
    #[error("two signatures of the package are by the same certificate")]
    SameSigner,
    /// More certificates than are looked at.
    #[error("the package has {found} certificates, more than the {max} that are accepted")]
    TooManyCertificates {
        /// How many there are.
        found: usize,
        /// How many may be.
        max: usize,
    },
    /// A certificate in the package cannot be read.
    #[error("a certificate in the package cannot be read: {0}")]
    Certificate(#[source] Error),
    /// A certificate in the package leads from no signer to a root.
    #[error("the package holds the certificate of {subject}, which is on no signer's chain: leave it out")]
    StrayCertificate {
        /// Whose certificate.
        subject: String,
    },
    /// The signer's certificate is not in the package.
    #[error("the signer's certificate is not in the package: sign with the certificate included")]
    NoSignerCertificate,
    /// A signed attribute is absent, repeated or of another form.
    #[error("the signed attribute {0} is absent, repeated or malformed")]
    SignedAttribute(&'static str),
    /// A digest other than SHA-256, a signature other than RSA PKCS #1 v1.5 or ECDSA, or one of another kind than the
    /// signer's key.
    #[error("the package uses another algorithm than SHA-256 with RSA PKCS #1 v1.5 or ECDSA on P-256")]
    Algorithm,
    /// The signer's key is none that this suite uses.
    #[error("the signer's key: {0}")]
    WeakKey(#[source] KeyDefect),
    /// The content is not the one that was signed.
    #[error("the content was changed after it was signed")]
    Digest,
    /// The signature does not verify under the signer's key.
    #[error("the signature does not verify: the package was changed, or another key signed it")]
    BadSignature,
}
