//! SEALED frames and the count of what a session key has protected (2-wire.md section 7). Sealing itself is the PIN
//! pad's and the HSM's.

use alloc::{borrow::ToOwned, vec::Vec};

use wire::{Frame, Malformed, MessageType, Tag};

use crate::{
    ProtocolError,
    fault::{expect, write},
};

/// Longest inner payload, bytes.
pub const INNER_MAX: usize = 65_500;
/// Blocks that a session key may protect, both directions together (SP 800-67r2).
pub const MAX_SEALED_BLOCKS: u64 = 1 << 20;

/// Bytes of a block, of the IV and of the tag.
const BLOCK: usize = 8;
/// Shortest DF4A: IV, one block of padding, tag.
const SHORTEST: usize = 3 * BLOCK;
/// Longest DF4A: IV, the longest inner payload padded, tag.
const LONGEST: usize = BLOCK + (INNER_MAX / BLOCK + 1) * BLOCK + BLOCK;
/// Blocks that only an ERROR may use, so that there is room to tell that the limit is reached: one without a text.
const FOR_AN_ERROR: u64 = 1;

/// The SEALED frame around DF4A's value.
///
/// # Errors
/// [`ProtocolError::Unwritable`] for a value that no frame can carry.
pub fn sealed_frame(df4a: &[u8]) -> Result<Frame, ProtocolError> {
    write(MessageType::Sealed, |fields| fields.push(Tag::SEALED_MESSAGE, df4a))
}

/// DF4A's value from a SEALED frame: whole blocks, at least IV, one block and tag. Nothing of it is believed yet.
///
/// # Errors
/// When the frame is another message or malformed. A clear ERROR is [`ProtocolError::Peer`]: anyone on the line can
/// send one, so it says nothing but that the connection is over.
pub fn unseal(frame: &Frame) -> Result<Vec<u8>, ProtocolError> {
    let fields = expect(frame, MessageType::Sealed)?;
    let tag = Tag::SEALED_MESSAGE;
    let sealed = fields.required(tag)?;
    if !(SHORTEST..=LONGEST).contains(&sealed.len()) || !sealed.len().is_multiple_of(BLOCK) {
        return Err(Malformed::FieldLength { tag, found: sealed.len() }.into());
    }
    Ok(sealed.to_owned())
}

/// Blocks of ciphertext that an inner payload of so many bytes takes: padding adds at least one byte.
pub fn ciphertext_blocks(inner_len: usize) -> u64 {
    u64::try_from(inner_len / BLOCK).unwrap_or(u64::MAX).saturating_add(1)
}

/// The session key has protected as much as it may: the peer must open a new session. 000B.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this session key has protected 2^20 blocks; open a new session and go on at the same offset")]
pub struct Exhausted;

/// The TMS's numbers of sealed messages in each direction, and what its session key has protected.
///
/// A number is given once. A message that then does not open ends the session, so that none can be tried again.
#[derive(Debug, Default)]
pub struct Counters {
    out: u32,
    inward: u32,
    blocks: u64,
}

impl Counters {
    /// Those of a session in which nothing was sealed yet.
    pub fn new() -> Counters {
        Counters::default()
    }

    /// The number for the next message to the terminal, an inner payload of so many bytes.
    ///
    /// # Errors
    /// [`Exhausted`]; nothing is counted then.
    pub fn out(&mut self, inner_len: usize) -> Result<u32, Exhausted> {
        self.take(ciphertext_blocks(inner_len), MAX_SEALED_BLOCKS - FOR_AN_ERROR)?;
        next(&mut self.out)
    }

    /// The number for the ERROR that ends the session. One without a text always fits; a longer one may not.
    ///
    /// # Errors
    /// [`Exhausted`]: close without a word.
    pub fn out_error(&mut self, inner_len: usize) -> Result<u32, Exhausted> {
        self.take(ciphertext_blocks(inner_len), MAX_SEALED_BLOCKS)?;
        next(&mut self.out)
    }

    /// The number that the next message from the terminal must have, whose DF4A has so many bytes.
    ///
    /// # Errors
    /// [`Exhausted`]; nothing is counted then. The message need not be opened: answer with a sealed ERROR 000B.
    pub fn in_(&mut self, sealed_len: usize) -> Result<u32, Exhausted> {
        let ciphertext = sealed_len.saturating_sub(2 * BLOCK) / BLOCK;
        let blocks = u64::try_from(ciphertext).map_err(|_| Exhausted)?;
        self.take(blocks, MAX_SEALED_BLOCKS - FOR_AN_ERROR)?;
        next(&mut self.inward)
    }

    /// Blocks that the session key may still protect.
    pub fn blocks_left(&self) -> u64 {
        MAX_SEALED_BLOCKS.saturating_sub(self.blocks)
    }

    fn take(&mut self, blocks: u64, limit: u64) -> Result<(), Exhausted> {
        let used = self.blocks.checked_add(blocks).filter(|used| *used <= limit).ok_or(Exhausted)?;
        self.blocks = used;
        Ok(())
    }
}

/// Gives a number and counts on. The blocks run out long before the numbers do.
fn next(counter: &mut u32) -> Result<u32, Exhausted> {
    let number = *counter;
    *counter = number.checked_add(1).ok_or(Exhausted)?;
    Ok(number)
}
