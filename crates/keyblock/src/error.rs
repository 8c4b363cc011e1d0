//! Everything that can be wrong with a block, a header or a request to wrap.

use crate::fields::Version;

/// Why a key block, a header or a key was refused.
///
/// Every defect that can be seen without the key has a name of its own. What is found only after decryption (a wrong
/// MAC, a wrong key length) has one name, [`Error::NotAuthentic`], so that an answer tells an attacker nothing about
/// the plaintext. No variant ever carries key material.
///
/// `index` counts optional blocks from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is shorter than the 16 characters that every header has (X9.143 6.2, table 1).
    #[error(
        "a key block header has at least 16 characters, this text has {have}: check that it was copied whole"
    )]
    HeaderTruncated {
        /// Bytes in the text.
        have: usize,
    },
    /// The first character is none of `A`, `B`, `C`, `D` and `E`.
    #[error("the key block version is unknown: this library knows A, B, C, D and E")]
    UnknownVersion,
    /// Characters 1 to 4, the length of the block, are not four decimal digits.
    #[error("the length of the key block is not four decimal digits")]
    LengthDigits,
    /// The length in the header is not the length of the text.
    #[error(
        "the header says {stated} characters, the text has {actual}: check that the block was copied whole"
    )]
    LengthMismatch {
        /// What the header says.
        stated: usize,
        /// Bytes in the text.
        actual: usize,
    },
    /// The length of the block is not a multiple of the cipher's block (8 in versions A to C, 16 in D).
    #[error("a version {version} key block has a multiple of {multiple} characters, this one has {length}")]
    Alignment {
        /// The block's version.
        version: Version,
        /// What the length must be a multiple of.
        multiple: usize,
        /// The length.
        length: usize,
    },
    /// Key usage is not two upper-case letters or digits (X9.143 6.3.1).
    #[error("key usage must be two upper-case letters or digits")]
    Usage,
    /// Algorithm is not one upper-case letter or digit (X9.143 6.3.2).
    #[error("algorithm must be one upper-case letter or digit")]
    Algorithm,
    /// Mode of use is not one upper-case letter or digit (X9.143 6.3.3).
    #[error("mode of use must be one upper-case letter or digit")]
    Mode,
    /// Key version number is not two letters or digits (X9.143 6.3.4).
    #[error("key version number must be two letters or digits")]
    KeyVersion,
    /// Exportability is not one upper-case letter or digit (X9.143 6.3.5).
    #[error("exportability must be one upper-case letter or digit")]
    Exportability,
    /// Key context is none of `0`, `1` and `2` (X9.143 6.2, table 1).
    #[error("key context must be 0, 1 or 2")]
    KeyContext,
    /// The last character of the fixed header is reserved and must be `0`.
    #[error("the reserved character of the header must be 0")]
    Reserved,
    /// The number of optional blocks is not two decimal digits.
    #[error("the number of optional blocks is not two decimal digits")]
    OptionalBlockCount,
    /// An optional block's identifier is missing or is not two letters or digits.
    #[error("optional block {index}: the identifier must be two letters or digits")]
    OptionalBlockId {
        /// Which one, from 0.
        index: usize,
    },
    /// An optional block's length is missing or is not upper-case hexadecimal.
    #[error("optional block {index}: the length must be upper-case hexadecimal digits")]
    OptionalBlockLength {
        /// Which one, from 0.
        index: usize,
    },
    /// The length of an extended length is missing or is not two upper-case hexadecimal digits.
    #[error(
        "optional block {index}: the length of the extended length must be two upper-case hexadecimal digits"
    )]
    OptionalBlockLengthOfLength {
        /// Which one, from 0.
        index: usize,
    },
    /// An extended length of zero bytes.
    #[error("optional block {index}: the length of the extended length must not be 00")]
    OptionalBlockLengthOfLengthZero {
        /// Which one, from 0.
        index: usize,
    },
    /// An optional block's length does not even cover its identifier and its length.
    #[error("optional block {index}: the length does not cover the block's own identifier and length")]
    OptionalBlockLengthTooSmall {
        /// Which one, from 0.
        index: usize,
    },
    /// The text ends inside an optional block.
    #[error("optional block {index}: the block ends before its length says")]
    OptionalBlockTruncated {
        /// Which one, from 0.
        index: usize,
    },
    /// An optional block's text has a character that is not printable ASCII.
    #[error("optional block {index}: the text must be printable ASCII")]
    OptionalBlockText {
        /// Which one, from 0.
        index: usize,
    },
    /// Two optional blocks have the same identifier (X9.143 6.3.6).
    #[error("optional block {index}: this identifier was there before")]
    OptionalBlockRepeated {
        /// Which one, from 0.
        index: usize,
    },
    /// The padding block `PB` is not the last one (X9.143 6.3.6).
    #[error("optional block {index}: the padding block PB must be the last one")]
    PaddingBlockNotLast {
        /// Which one, from 0.
        index: usize,
    },
    /// The caller gave a padding block `PB`: wrapping adds it where it is needed.
    #[error("leave the padding block PB out: wrapping adds it where it is needed")]
    PaddingBlockGiven,
    /// More optional blocks than two digits can count.
    #[error("a header holds at most 99 optional blocks, PB included")]
    TooManyOptionalBlocks,
    /// The text ends before the MAC.
    #[error("the block ends inside its MAC: {have} characters where version {version} has {need}")]
    MacTruncated {
        /// The block's version.
        version: Version,
        /// Characters after the header.
        have: usize,
        /// Characters of a MAC of this version.
        need: usize,
    },
    /// The MAC is not upper-case hexadecimal.
    #[error("the MAC must be upper-case hexadecimal digits")]
    MacHex,
    /// There is no encrypted key, or it is not a whole number of cipher blocks (in version E: of bytes).
    #[error("the encrypted key has {characters} characters, which is no length of version {version}")]
    CiphertextLength {
        /// The block's version.
        version: Version,
        /// Characters between header and MAC.
        characters: usize,
    },
    /// The encrypted key is not upper-case hexadecimal.
    #[error("the encrypted key must be upper-case hexadecimal digits")]
    CiphertextHex,
    /// The protection key does not open this block: wrong key, changed block, or a wrong length inside.
    #[error(
        "the key block does not open under this protection key: it is another key, or the block was changed"
    )]
    NotAuthentic,
    /// A protection key of a length that the version does not have.
    #[error("a version {version} protection key has {}, this one has {length} bytes", version.kbpk_lengths())]
    KbpkLength {
        /// The version asked for.
        version: Version,
        /// Bytes of the key given.
        length: usize,
    },
    /// The protection key was made for another version than the block's.
    #[error("the protection key is for version {kbpk}, the block is version {block}")]
    VersionMismatch {
        /// What the protection key is for.
        kbpk: Version,
        /// What the block or header says.
        block: Version,
    },
    /// Versions A and C are deprecated: new blocks of them are made only where the caller says so.
    #[error(
        "version {0} is deprecated (its MAC has 32 bits): wrap with version B or D, or ask for it by wrap_legacy"
    )]
    LegacyVersion(Version),
    /// A key of no bytes.
    #[error("there is no key to wrap")]
    KeyEmpty,
    /// The block would be longer than its four-digit length can say.
    #[error("the key block would have more than 9999 characters: shorten the key or the optional blocks")]
    BlockTooLong,
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers")]
    Random,
}

impl Error {
    /// The variant's name in kebab case, for programs: it stays what it is, while messages may change.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Error::HeaderTruncated { .. } => "header-truncated",
            Error::UnknownVersion => "unknown-version",
            Error::LengthDigits => "length-digits",
            Error::LengthMismatch { .. } => "length-mismatch",
            Error::Alignment { .. } => "alignment",
            Error::Usage => "usage",
            Error::Algorithm => "algorithm",
            Error::Mode => "mode",
            Error::KeyVersion => "key-version",
            Error::Exportability => "exportability",
            Error::KeyContext => "key-context",
            Error::Reserved => "reserved",
            Error::OptionalBlockCount => "optional-block-count",
            Error::OptionalBlockId { .. } => "optional-block-id",
            Error::OptionalBlockLength { .. } => "optional-block-length",
            Error::OptionalBlockLengthOfLength { .. } => "optional-block-length-of-length",
            Error::OptionalBlockLengthOfLengthZero { .. } => "optional-block-length-of-length-zero",
            Error::OptionalBlockLengthTooSmall { .. } => "optional-block-length-too-small",
            Error::OptionalBlockTruncated { .. } => "optional-block-truncated",
            Error::OptionalBlockText { .. } => "optional-block-text",
            Error::OptionalBlockRepeated { .. } => "optional-block-repeated",
            Error::PaddingBlockNotLast { .. } => "padding-block-not-last",
            Error::PaddingBlockGiven => "padding-block-given",
            Error::TooManyOptionalBlocks => "too-many-optional-blocks",
            Error::MacTruncated { .. } => "mac-truncated",
            Error::MacHex => "mac-hex",
            Error::CiphertextLength { .. } => "ciphertext-length",
            Error::CiphertextHex => "ciphertext-hex",
            Error::NotAuthentic => "not-authentic",
            Error::KbpkLength { .. } => "kbpk-length",
            Error::VersionMismatch { .. } => "version-mismatch",
            Error::LegacyVersion(_) => "legacy-version",
            Error::KeyEmpty => "key-empty",
            Error::BlockTooLong => "block-too-long",
            Error::Random => "random",
        }
    }
}
