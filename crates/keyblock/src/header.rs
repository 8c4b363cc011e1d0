//! The header of a key block, and how it is read. No cryptography.

use crate::Error;
use crate::fields::{Algorithm, Exportability, KeyContext, KeyVersion, Mode, Usage, Version};
use crate::optional::OptionalBlock;

/// Characters of the header without optional blocks.
pub const FIXED_HEADER_LENGTH: usize = 16;
/// The most optional blocks that a header can count, `PB` included.
pub const MAX_OPTIONAL_BLOCKS: usize = 99;

/// What a key block says in the clear about its key.
///
/// The padding block `PB` is none of the header's information: reading leaves it out of [`Header::optional`], wrapping
/// adds it where it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Header {
    /// Version: how the block is protected.
    pub version: Version,
    /// What the key is for.
    pub usage: Usage,
    /// What algorithm it is used with.
    pub algorithm: Algorithm,
    /// Which operations it may do.
    pub mode: Mode,
    /// Its version number.
    pub key_version: KeyVersion,
    /// Whether it may leave.
    pub exportability: Exportability,
    /// Whether the block is for storage or exchange; `0` in nearly all blocks.
    pub key_context: KeyContext,
    /// Optional blocks in order, without `PB`.
    pub optional: Vec<OptionalBlock>,
}

impl Header {
    /// A header with key version `00`, key context `0` and no optional blocks.
    #[must_use]
    pub const fn new(
        version: Version,
        usage: Usage,
        algorithm: Algorithm,
        mode: Mode,
        exportability: Exportability,
    ) -> Self {
        Self {
            version,
            usage,
            algorithm,
            mode,
            key_version: KeyVersion::UNUSED,
            exportability,
            key_context: KeyContext::Unspecified,
            optional: Vec::new(),
        }
    }

    /// The same header with one more optional block at its end.
    ///
    /// # Errors
    /// Those of [`OptionalBlock::new`].
    pub fn with_optional(mut self, id: &str, text: impl Into<String>) -> Result<Self, Error> {
        self.optional.push(OptionalBlock::new(id, text)?);
        Ok(self)
    }

    /// Reads the header at the front of a key block and gives it with its length in characters (where the encrypted
    /// key begins). What follows is not looked at, and nothing here is authenticated: believe a header only after
    /// `Kbpk::unwrap`. [`crate::Envelope::parse`] checks the structure of a whole block.
    ///
    /// # Errors
    /// One named [`Error`] for each defect of the header.
    pub fn parse(text: &str) -> Result<(Header, usize), Error> {
        parse(text).map(|parsed| (parsed.header, parsed.header_length))
    }

    /// The text of the optional block with this identifier, if there is one.
    #[must_use]
    pub fn optional(&self, id: &str) -> Option<&str> {
        self.optional.iter().find(|block| block.id() == id).map(OptionalBlock::text)
    }
}

/// A header as read, with what only the block's structure needs.
pub(crate) struct Parsed {
    pub(crate) header: Header,
    pub(crate) header_length: usize,
    pub(crate) stated_length: usize,
}

pub(crate) fn parse(text: &str) -> Result<Parsed, Error> {
    let bytes = text.as_bytes();
    let have = bytes.len();
    let fixed: &[u8; FIXED_HEADER_LENGTH] = bytes.first_chunk().ok_or(Error::HeaderTruncated { have })?;
    let [v, l1, l2, l3, l4, u1, u2, algorithm, mode, k1, k2, export, c1, c2, context, reserved] = *fixed;

    let version = Version::from_letter(v)?;
    let stated_length = decimal(&[l1, l2, l3, l4]).ok_or(Error::LengthDigits)?;
    let mut header = Header {
        version,
        usage: Usage::from_ascii([u1, u2])?,
        algorithm: Algorithm::from_ascii([algorithm])?,
        mode: Mode::from_ascii([mode])?,
        key_version: KeyVersion::from_ascii([k1, k2])?,
        exportability: Exportability::from_ascii([export])?,
        key_context: KeyContext::Unspecified,
        optional: Vec::new(),
    };
    let count = decimal(&[c1, c2]).ok_or(Error::OptionalBlockCount)?;
    header.key_context = KeyContext::from_digit(context)?;
    if reserved != b'0' {
        return Err(Error::Reserved);
    }

    let mut header_length = FIXED_HEADER_LENGTH;
    header.optional.reserve_exact(count);
    for index in 0..count {
        let rest = bytes.get(header_length..).unwrap_or_default();
        let (block, length) = OptionalBlock::parse(rest, index)?;
        header_length += length;
        header.optional.push(block);
    }
    if let Some(index) = header.optional.iter().position(OptionalBlock::is_padding) {
        if index + 1 != count {
            return Err(Error::PaddingBlockNotLast { index });
        }
        header.optional.pop();
    }
    no_repetition(&header.optional)?;
    Ok(Parsed { header, header_length, stated_length })
}

pub(crate) fn no_repetition(blocks: &[OptionalBlock]) -> Result<(), Error> {
    for (index, block) in blocks.iter().enumerate() {
        if blocks.iter().take(index).any(|earlier| earlier.id() == block.id()) {
            return Err(Error::OptionalBlockRepeated { index });
        }
    }
    Ok(())
}

fn decimal(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0_usize, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + usize::from(digit - b'0'))
    })
}
