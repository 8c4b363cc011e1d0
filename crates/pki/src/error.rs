//! The crate's error: what is wrong with a structure that was handed in, or why none could be made.

use crate::key::KeyDefect;

/// Why a structure could not be read or made.
///
/// A certificate that was read but must not be believed is a [`crate::CertificateRefusal`] instead, a CMS
/// package a [`crate::cms::CmsRefusal`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not what they should be.
    #[error("{what} is malformed: {why}")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The input is longer than the limit for its kind.
    #[error("{what} has {len} bytes, more than the {max} that are accepted")]
    TooLong {
        /// What was being read.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The public key is none that this suite uses.
    #[error("{what}: {defect}")]
    Key {
        /// Whose key it is.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        defect: KeyDefect,
    },
    /// The structure is signed with something other than RSA PKCS #1 v1.5 or ECDSA, and SHA-256.
    #[error(
        "{what} is signed neither with sha256WithRSAEncryption nor with ecdsa-with-SHA256; sign it again with RSA \
         or P-256, and SHA-256"
    )]
    Algorithm {
        /// What was being read.
        what: &'static str,
    },
    /// The signature does not verify.
    #[error("the signature of {what} does not verify: it was changed, or another key signed it")]
    BadSignature {
        /// What was being checked.
        what: &'static str,
    },
    /// A name for a certificate that cannot be used.
    #[error("the name {part:?} cannot be used: {why}")]
    Name {
        /// The part in question.
        part: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The request asks for a certificate or list that would not be valid.
    #[error("{0}")]
    Request(String),
    /// A root for trials where production is wanted, or the reverse.
    #[error(
        "the root {subject} is for {}, and this is an estate for {}: never one in the other",
        estate(*.production), estate(!*.production)
    )]
    OtherEstate {
        /// The root's name.
        subject: String,
        /// Whether the root is for production.
        production: bool,
    },
    /// The private key's holder did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers; try again")]
    Random,
}

impl Error {
    pub(crate) fn malformed(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Malformed { what, why: why.to_string() }
    }
}

fn estate(production: bool) -> &'static str {
    if production { "production" } else { "trials" }
}

/// The holder of a private key did not sign; the text says why and never holds key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the private key did not sign: {reason}")]
pub struct SignError {
    reason: String,
}

impl SignError {
    /// An error with the reason that a person should see.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }

    /// The reason alone.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}
