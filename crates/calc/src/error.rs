//! Why the calculator has no answer.

use crate::jsonl::MAX_LINE;

/// Why a request has no answer. [`Error::code`] is stable; messages say what to do next and never hold key material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The line is no JSON.
    #[error("the line is no JSON: write one JSON object on each line")]
    NotJson,
    /// The line is longer than [`MAX_LINE`].
    #[error("the line is longer than {MAX_LINE} bytes")]
    LineTooLong,
    /// The request has no `op` or is no object.
    #[error("the request has no \"op\": it must be a JSON object with a text \"op\"")]
    NoOp,
    /// An `op` that the calculator does not know.
    #[error(
        "unknown op: use keyblock.unwrap, keyblock.wrap, keyblock.parse, kcv, mac, parity, components, \
             pinblock.encode or pinblock.decode"
    )]
    UnknownOp,
    /// A field is missing or has another type.
    #[error("a field is missing, repeated or of the wrong type: this op has {fields}")]
    Fields {
        /// The fields of the op, in words.
        fields: &'static str,
    },
    /// A text that must be hexadecimal is not.
    #[error("{what} must be an even number of hexadecimal digits")]
    Hex {
        /// Which text.
        what: &'static str,
    },
    /// An algorithm that the operation does not have.
    #[error("unknown algorithm: use {known}")]
    Algorithm {
        /// The algorithms of the operation, in words.
        known: &'static str,
    },
    /// A padding method that the MAC does not have.
    #[error("{algorithm} has padding {allowed}")]
    Padding {
        /// The MAC algorithm.
        algorithm: &'static str,
        /// Its paddings, in words.
        allowed: &'static str,
    },
    /// A length that is no key's.
    #[error("parity is for DES keys of 8, 16 or 24 bytes, this one has {found}")]
    ParityLength {
        /// Bytes given.
        found: usize,
    },
    /// Fewer than two components.
    #[error("a key has at least two components")]
    TooFewComponents,
    /// Components of different lengths.
    #[error(
        "component {number} has another length than the first: all components of a key are as long as the key"
    )]
    ComponentLength {
        /// Which one, from 1.
        number: usize,
    },
    /// A key block, a header or a protection key was refused.
    #[error(transparent)]
    KeyBlock(#[from] keyblock::Error),
    /// A key was refused.
    #[error(transparent)]
    Key(#[from] paycrypto::Error),
    /// A PIN block of a length that the format does not have.
    #[error("a PIN block of this format has {expected} bytes, this one has {found}")]
    PinBlockLength {
        /// Bytes of the format.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A PIN, a PAN, a PIN block's format or key, or a PIN block was refused.
    #[error(transparent)]
    PinBlock(#[from] pinblock::Error),
    /// The answer could not be written as JSON.
    #[error("the answer could not be written as JSON")]
    Internal,
}

impl Error {
    /// The error's name for programs, kebab case; it does not change from release to release.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Error::NotJson => "not-json",
            Error::LineTooLong => "line-too-long",
            Error::NoOp => "no-op",
            Error::UnknownOp => "unknown-op",
            Error::Fields { .. } => "fields",
            Error::Hex { .. } => "hex",
            Error::Algorithm { .. } => "unknown-algorithm",
            Error::Padding { .. } => "padding",
            Error::ParityLength { .. } => "key-length",
            Error::TooFewComponents => "too-few-components",
            Error::ComponentLength { .. } => "component-length",
            Error::KeyBlock(error) => error.code(),
            Error::Key(paycrypto::Error::KeyLength { .. } | paycrypto::Error::MacKeyLength) => "key-length",
            Error::Key(paycrypto::Error::MessageTooLong) => "message-too-long",
            Error::Key(_) => "key",
            Error::PinBlockLength { .. } => "block-length",
            Error::PinBlock(error) => error.code(),
            Error::Internal => "internal",
        }
    }
}
