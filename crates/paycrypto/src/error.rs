//! The crate's error.

use crate::hygiene::PoorKey;

/// Why an operation with a clear key did not happen. Never carries key material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key has a length that its algorithm does not have.
    #[error("a key of {found} bytes; {algorithm} has keys of {allowed} bytes: check which key this is")]
    KeyLength {
        /// The algorithm asked for.
        algorithm: &'static str,
        /// The lengths it has, in words.
        allowed: &'static str,
        /// The length given.
        found: usize,
    },
    /// Data for ECB or CBC is not whole blocks.
    #[error("{found} bytes are not whole blocks of {block}: pad the data first")]
    NotWholeBlocks {
        /// Block size of the cipher in bytes.
        block: usize,
        /// Length given.
        found: usize,
    },
    /// ISO 9797-1 algorithm 3 needs two different DES keys, so at least 16 bytes.
    #[error("MAC algorithm 3 needs a key of 16 or 24 bytes, not 8")]
    MacKeyLength,
    /// The message is too long for ISO 9797-1 padding method 3, whose length field is one block.
    #[error("the message is too long for padding method 3")]
    MessageTooLong,
    /// The key is one that must not be used.
    #[error(transparent)]
    Poor(#[from] PoorKey),
    /// The random source failed a health test: nothing is generated until the process restarts.
    #[error(
        "the random number source failed its health test: no key is made; restart, and if it stays, replace the machine"
    )]
    RandomStuck,
    /// The operating system has no random numbers for us.
    #[error("the operating system gave no random numbers: no key is made; check the system's random device")]
    RandomUnavailable,
    /// So many random keys in a row were poor that the random source must be broken.
    #[error(
        "the random number source gives only poor keys: no key is made; check the system's random device"
    )]
    RandomPoor,
    /// AES-GCM sealing failed inside the library.
    #[error("sealing failed; the message may be too long")]
    Seal,
    /// The sealed data does not open: another key, other associated data, or changed.
    #[error("the sealed data does not open: another key, another place, or it was changed")]
    Open,
    /// Bytes that are no public key of suite 02: not 65, not uncompressed, or not on the curve.
    #[error("this is no public key: P-256, uncompressed, on the curve is wanted")]
    Point,
    /// A number that is no private key of P-256.
    #[error("this is no private key of P-256: check where it was kept, or make another one")]
    Scalar,
    /// Key agreement failed inside the library.
    #[error("the two keys agree on nothing")]
    Agreement,
    /// Signing failed inside the library.
    #[error("signing failed")]
    Sign,
    /// TEK and AUK are the same key.
    #[error("TEK and AUK are the same key: make another TK")]
    EqualKeys,
    /// A serial or diversification factor of no bytes or of too many.
    #[error("a DIK2 is derived from a serial and a factor of 1 to 32 bytes each")]
    Diversification,
}
