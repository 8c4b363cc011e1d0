//! Optional blocks of the header (X9.143 6.3.6): short and extended lengths.

use crate::{Error, hex};

/// Identifier of the padding block.
pub(crate) const PADDING_ID: &str = "PB";

/// Characters of identifier and short length.
pub(crate) const SHORT_OVERHEAD: usize = 4;
/// One optional block: a two-character identifier and a text of printable ASCII.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OptionalBlock {
    id: [u8; 2],
    text: String,
}

impl OptionalBlock {
    /// Makes an optional block. Letters are the standard's identifiers, two digits are proprietary ones.
    ///
    /// # Errors
    /// [`Error::OptionalBlockId`] unless `id` is two letters or digits, [`Error::PaddingBlockGiven`] for `PB`,
    /// [`Error::OptionalBlockText`] unless `text` is printable ASCII. Their index is 0.
    pub fn new(id: &str, text: impl Into<String>) -> Result<Self, Error> {
        let id: [u8; 2] = id.as_bytes().try_into().map_err(|_| Error::OptionalBlockId { index: 0 })?;
        if !id.iter().all(u8::is_ascii_alphanumeric) {
            return Err(Error::OptionalBlockId { index: 0 });
        }
        if id == PADDING_ID.as_bytes() {
            return Err(Error::PaddingBlockGiven);
        }
        let text = text.into();
        if !is_printable(text.as_bytes()) {
            return Err(Error::OptionalBlockText { index: 0 });
        }
        Ok(Self { id, text })
    }

    /// The identifier, two characters.
    #[must_use]
    pub fn id(&self) -> &str {
        // Only ASCII gets in, so this never falls back.
        core::str::from_utf8(&self.id).unwrap_or_default()
    }

    /// The text, without identifier and length.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_padding(&self) -> bool {
        self.id == PADDING_ID.as_bytes()
    }

    /// Reads the block at the front of `bytes`; gives it and the characters that it takes.
    pub(crate) fn parse(bytes: &[u8], index: usize) -> Result<(Self, usize), Error> {
        let id: [u8; 2] = *bytes.first_chunk().ok_or(Error::OptionalBlockId { index })?;
        if !id.iter().all(u8::is_ascii_alphanumeric) {
            return Err(Error::OptionalBlockId { index });
        }
        let short = bytes.get(2..4).and_then(hex::number).ok_or(Error::OptionalBlockLength { index })?;
        let (length, overhead) = match short {
            0 => extended_length(bytes.get(4..).unwrap_or_default(), index)?,
            short => (short, SHORT_OVERHEAD),
        };
        if length < overhead {
            return Err(Error::OptionalBlockLengthTooSmall { index });
        }
        let text = bytes.get(overhead..length).ok_or(Error::OptionalBlockTruncated { index })?;
        if !is_printable(text) {
            return Err(Error::OptionalBlockText { index });
        }
        let text = core::str::from_utf8(text).map_err(|_| Error::OptionalBlockText { index })?;
        Ok((Self { id, text: text.to_owned() }, length))
    }
}

impl core::fmt::Debug for OptionalBlock {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "OptionalBlock({} {:?})", self.id(), self.text)
    }
}

/// The extended form: `00`, the length's own length in bytes, the length. `bytes` starts after the `00`.
fn extended_length(bytes: &[u8], index: usize) -> Result<(usize, usize), Error> {
    let size = bytes.get(..2).and_then(hex::number).ok_or(Error::OptionalBlockLengthOfLength { index })?;
    if size == 0 {
        return Err(Error::OptionalBlockLengthOfLengthZero { index });
    }
    // `size` is at most 255, so nothing here overflows.
    let digits = bytes.get(2..2 + 2 * size).ok_or(Error::OptionalBlockLength { index })?;
    let length = hex::number(digits).ok_or(Error::OptionalBlockLength { index })?;
    Ok((length, 2 + SHORT_OVERHEAD + 2 * size))
}

fn is_printable(text: &[u8]) -> bool {
    text.iter().all(|character| matches!(character, 0x20..=0x7E))
}
