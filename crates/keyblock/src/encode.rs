//! How a header is written: lengths, and the padding block that X9.143 6.3.6 asks for.

use crate::header::{FIXED_HEADER_LENGTH, Header, MAX_OPTIONAL_BLOCKS, no_repetition};
use crate::optional::{OptionalBlock, PADDING_ID, SHORT_OVERHEAD};
use crate::{Error, MAX_BLOCK_LENGTH};

/// Characters of identifier, `00`, length of length and an extended length of two bytes, as this crate writes it.
const EXTENDED_OVERHEAD: usize = 10;
/// The longest block that a short length can say.
const SHORT_MAXIMUM: usize = 0xFF;

/// Characters of a padding block with no text.
const PADDING_OVERHEAD: usize = SHORT_OVERHEAD;

impl Header {
    /// Characters of this header in a block, padding block included.
    pub(crate) fn encoded_len(&self) -> usize {
        let bare = self.unpadded_len();
        bare.saturating_add(self.padding(bare))
    }

    /// Writes the header of a block of `block_length` characters to `text`.
    pub(crate) fn encode(&self, block_length: usize, text: &mut String) -> Result<(), Error> {
        if block_length > MAX_BLOCK_LENGTH {
            return Err(Error::BlockTooLong);
        }
        self.check_optional()?;
        let padding = self.padding(self.unpadded_len());
        let count = self.optional.len() + usize::from(padding > 0);
        if count > MAX_OPTIONAL_BLOCKS {
            return Err(Error::TooManyOptionalBlocks);
        }
        text.push(self.version.letter());
        text.push_str(&format!("{block_length:04}"));
        text.push_str(self.usage.as_str());
        text.push_str(self.algorithm.as_str());
        text.push_str(self.mode.as_str());
        text.push_str(self.key_version.as_str());
        text.push_str(self.exportability.as_str());
        text.push_str(&format!("{count:02}"));
        text.push(self.key_context.digit());
        text.push('0');
        for block in &self.optional {
            block.encode(text);
        }
        if padding > 0 {
            text.push_str(PADDING_ID);
            text.push_str(&format!("{padding:02X}"));
            text.extend(core::iter::repeat_n('0', padding - PADDING_OVERHEAD));
        }
        Ok(())
    }

    fn unpadded_len(&self) -> usize {
        self.optional.iter().fold(FIXED_HEADER_LENGTH, |sum, block| sum.saturating_add(block.encoded_len()))
    }

    /// Characters of the padding block that brings a header of `length` to a multiple of the cipher's block; 0 for
    /// none (X9.143 6.3.6: only optional blocks make it necessary).
    fn padding(&self, length: usize) -> usize {
        let multiple = self.version.cipher_block();
        match length % multiple {
            0 => 0,
            over if multiple - over >= PADDING_OVERHEAD => multiple - over,
            over => 2 * multiple - over,
        }
    }

    fn check_optional(&self) -> Result<(), Error> {
        if self.optional.iter().any(OptionalBlock::is_padding) {
            return Err(Error::PaddingBlockGiven);
        }
        no_repetition(&self.optional)
    }
}

impl OptionalBlock {
    /// Characters of this block in a header.
    pub(crate) fn encoded_len(&self) -> usize {
        let short = self.text().len().saturating_add(SHORT_OVERHEAD);
        if short <= SHORT_MAXIMUM { short } else { self.text().len().saturating_add(EXTENDED_OVERHEAD) }
    }

    /// Appends the block to a header. The header's whole length was checked before, so two bytes of length suffice.
    pub(crate) fn encode(&self, header: &mut String) {
        let length = self.encoded_len();
        header.push_str(self.id());
        if length <= SHORT_MAXIMUM {
            header.push_str(&format!("{length:02X}"));
        } else {
            header.push_str(&format!("0002{length:04X}"));
        }
        header.push_str(self.text());
    }
}
