//! What can be wrong with a request, and the one thing that can be wrong with a block.

/// Why a PIN, a PAN or a request was refused. Never carries a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A PIN is 4 to 12 decimal digits (ISO 9564-1).
    #[error("a PIN is 4 to 12 digits")]
    PinDigits,
    /// A PAN is 1 to 19 decimal digits.
    #[error("a PAN is 1 to 19 digits, without spaces")]
    PanDigits,
    /// Formats 0 and 3 take 12 digits of the PAN and leave out its check digit.
    #[error(
        "format {format} needs a PAN of at least 13 digits: use format 4, or check that the PAN is whole"
    )]
    PanShort {
        /// The format's number.
        format: u8,
    },
    /// The format binds the PIN to a PAN, and none was given.
    #[error("format {format} needs the PAN: give it")]
    PanMissing {
        /// The format's number.
        format: u8,
    },
    /// Format 2 is for chip cards' own readers.
    #[error("format 2 is neither made nor opened: use format 0, 3 or 4")]
    Format2,
    /// Format 4 exists only enciphered.
    #[error("format 4 exists only enciphered with AES: give its key")]
    Format4NeedsKey,
    /// ISO 9564-1 has no such format.
    #[error("PIN block formats are 0, 1, 2, 3 and 4")]
    UnknownFormat,
    /// Not the length of an AES key.
    #[error("format 4 needs an AES key of 16, 24 or 32 bytes; this one has {found}")]
    KeyLength {
        /// Bytes given.
        found: usize,
    },
    /// The operating system gave no random numbers for the fill.
    #[error(
        "the operating system gave no random numbers: no PIN block is made; check the system's random device"
    )]
    Random,
    /// What [`BadBlock`] says.
    #[error(transparent)]
    BadBlock(#[from] BadBlock),
}

impl Error {
    /// The variant's name in kebab case, for programs: it stays what it is, while messages may change.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Error::PinDigits => "pin-digits",
            Error::PanDigits => "pan-digits",
            Error::PanShort { .. } => "pan-short",
            Error::PanMissing { .. } => "pan-missing",
            Error::Format2 => "format-2",
            Error::Format4NeedsKey => "format-4-needs-key",
            Error::UnknownFormat => "unknown-format",
            Error::KeyLength { .. } => "key-length",
            Error::Random => "random",
            Error::BadBlock(_) => "bad-block",
        }
    }
}

/// The block does not hold a PIN in this format for this PAN: another key, another PAN, another format, or damaged.
/// One answer for all of it, so that an answer tells nothing of what is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the PIN block is refused: another key, PAN or format than it was made with, or it was changed")]
pub struct BadBlock;
