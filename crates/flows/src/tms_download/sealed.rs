//! SEALED frames and the count of what a session's keys have protected (2-wire.md section 7). Sealing itself is the PIN
//! pad's and the HSM's.

use alloc::{borrow::ToOwned, vec::Vec};
use core::marker::PhantomData;

use wire::{Frame, Malformed, MessageType, Tag};

use super::SealSuite;
use crate::{ProtocolError, Tdes, fault::write};

pub use super::tdes::{MAX_SEALED_BLOCKS, ciphertext_blocks};

/// Longest inner payload, bytes.
pub const INNER_MAX: usize = 65_500;

/// The SEALED frame around DF4A's value.
///
/// # Errors
/// [`ProtocolError::Unwritable`] for a value that no frame can carry.
pub fn sealed_frame(df4a: &[u8]) -> Result<Frame, ProtocolError> {
    write(MessageType::Sealed, |fields| fields.push(Tag::SEALED_MESSAGE, df4a))
}

/// DF4A's value from a SEALED frame, of a length that the suite's can have. Nothing of it is believed yet.
///
/// # Errors
/// When the frame is another message or malformed. A clear ERROR is [`ProtocolError::Peer`]: anyone on the line can
/// send one, so it says nothing but that the connection is over.
pub fn unseal<S: SealSuite>(frame: &Frame) -> Result<Vec<u8>, ProtocolError> {
    let fields = S::read(frame, MessageType::Sealed)?;
    let tag = Tag::SEALED_MESSAGE;
    let sealed = fields.required(tag)?;
    if S::has_length(sealed.len()) {
        Ok(sealed.to_owned())
    } else {
        Err(Malformed::FieldLength { tag, found: sealed.len() }.into())
    }
}

/// The session's keys have protected as much as they may: the peer must open a new session. 000B.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this session's keys have protected as much as they may; open a new session and go on at the same offset"
)]
pub struct Exhausted;

/// The TMS's numbers of sealed messages in each direction, and what its session's keys have protected.
///
/// A number is given once. A message that then does not open ends the session, so that none can be tried again.
#[derive(Debug)]
pub struct Counters<S: SealSuite = Tdes> {
    pub(super) out: u64,
    inward: u64,
    pub(super) blocks: u64,
    suite: PhantomData<fn() -> S>,
}

impl Counters {
    /// Those of a session of suite 01 in which nothing was sealed yet.
    pub fn new() -> Counters {
        Counters::of()
    }
}

impl Default for Counters {
    fn default() -> Counters {
        Counters::new()
    }
}

impl<S: SealSuite> Counters<S> {
    /// Those of a session in which nothing was sealed yet.
    pub fn of() -> Counters<S> {
        Counters { out: 0, inward: 0, blocks: 0, suite: PhantomData }
    }

    /// The number for the next message to the terminal, an inner payload of so many bytes.
    ///
    /// # Errors
    /// [`Exhausted`]; nothing is counted then.
    pub fn out(&mut self, inner_len: usize) -> Result<S::Number, Exhausted> {
        self.take(S::blocks(inner_len), S::FOR_AN_ERROR)?;
        next::<S>(&mut self.out)
    }

    /// The number for the ERROR that ends the session. One without a text always fits; a longer one may not.
    ///
    /// # Errors
    /// [`Exhausted`]: close without a word.
    pub fn out_error(&mut self, inner_len: usize) -> Result<S::Number, Exhausted> {
        self.take(S::blocks(inner_len), 0)?;
        next::<S>(&mut self.out)
    }

    /// The number that the next message from the terminal must have, whose DF4A has so many bytes.
    ///
    /// # Errors
    /// [`Exhausted`]; nothing is counted then. The message need not be opened: answer with a sealed ERROR 000B.
    pub fn in_(&mut self, sealed_len: usize) -> Result<S::Number, Exhausted> {
        self.take(S::blocks_of(sealed_len), S::FOR_AN_ERROR)?;
        next::<S>(&mut self.inward)
    }

    /// Blocks that the session's keys may still protect.
    pub fn blocks_left(&self) -> u64 {
        S::MAX_BLOCKS.saturating_sub(self.blocks)
    }

    fn take(&mut self, blocks: u64, spare: u64) -> Result<(), Exhausted> {
        let limit = S::MAX_BLOCKS.saturating_sub(spare);
        self.blocks = self.blocks.checked_add(blocks).filter(|used| *used <= limit).ok_or(Exhausted)?;
        Ok(())
    }
}

/// Gives a number and counts on. The blocks run out long before the numbers do.
fn next<S: SealSuite>(counter: &mut u64) -> Result<S::Number, Exhausted> {
    let number = S::Number::try_from(*counter).map_err(|_| Exhausted)?;
    *counter = counter.checked_add(1).ok_or(Exhausted)?;
    Ok(number)
}
