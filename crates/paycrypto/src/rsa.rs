//! RSA of suite 01: OAEP, PKCS #1 v1.5 and PSS signatures, and type 1 with message recovery (2-wire.md
//! section 4).
//!
//! Keys have 2 048 to 4 096 bits and an odd public exponent of at least 65 537; others are refused by name
//! when they are imported. A key is parsed once and kept prepared. Private operations are those of aws-lc:
//! blinded, constant-time, their result checked before it leaves.

mod library;
mod private;
mod public;
mod type1;

pub use private::PrivateKey;
pub use public::PublicKey;
pub use type1::Type1Defect;

/// The shortest modulus in bits.
pub const MIN_BITS: u32 = 2048;
/// The longest modulus in bits.
pub const MAX_BITS: u32 = 4096;
/// The smallest public exponent.
pub const MIN_EXPONENT: u64 = 65_537;

/// Why an RSA key or operation is refused. Never carries key material or plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RsaError {
    /// Not an RSA key in the form asked for, its parts do not fit together, something follows it, or its
    /// public exponent is even or has more than 33 bits.
    #[error("this is no RSA key in the form expected (SubjectPublicKeyInfo or PKCS #8, DER)")]
    Malformed,
    /// The modulus has too few or too many bits.
    #[error("an RSA key of {bits} bits; keys have {MIN_BITS} to {MAX_BITS}: make another key")]
    Bits {
        /// Length of the modulus.
        bits: u32,
    },
    /// The public exponent is too small.
    #[error(
        "an RSA key with the public exponent {exponent}; it must be at least {MIN_EXPONENT}: make another key"
    )]
    WeakExponent {
        /// The exponent.
        exponent: u64,
    },
    /// `generate` makes keys of 2 048, 3 072 and 4 096 bits.
    #[error("keys are made with 2048, 3072 or 4096 bits, not {bits}")]
    CannotGenerate {
        /// Bits asked for.
        bits: u32,
    },
    /// The library made no key.
    #[error("no RSA key was made: the random number source may have failed")]
    Generate,
    /// The ciphertext does not open. One error for every reason: anything more would tell a stranger about
    /// the plaintext (R29 of 4-requirements.md).
    #[error("the ciphertext does not open")]
    Decrypt,
    /// Encryption did not happen: the message is too long for the key.
    #[error("{len} bytes are too long for OAEP with this key")]
    Encrypt {
        /// Length of the message.
        len: usize,
    },
    /// Signing did not happen.
    #[error("signing failed inside the library")]
    Sign,
    /// A message for type 1 is too long: 11 bytes go to its padding (RFC 8017 section 9.2).
    #[error("{len} bytes are too long for type 1 padding with this key")]
    Type1TooLong {
        /// Length of the message.
        len: usize,
    },
    /// A type 1 signature recovers to nothing good.
    #[error(transparent)]
    Type1(#[from] Type1Defect),
}

/// The rule for every RSA key, private or public.
fn check(key: &library::RsaKey) -> Result<(), RsaError> {
    let bits = key.bits();
    if !(MIN_BITS..=MAX_BITS).contains(&bits) {
        return Err(RsaError::Bits { bits });
    }
    // The library refuses even exponents and those over 33 bits when it parses.
    match key.exponent() {
        Some(exponent) if exponent < MIN_EXPONENT => Err(RsaError::WeakExponent { exponent }),
        Some(exponent) if exponent % 2 == 1 => Ok(()),
        _ => Err(RsaError::Malformed),
    }
}
