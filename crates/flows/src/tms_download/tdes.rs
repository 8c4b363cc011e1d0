//! Suite 01: IV, TDES-CBC, a tag under DWK (2-wire.md section 7).

use super::{SealSuite, sealed::INNER_MAX};
use crate::Tdes;

/// Blocks that a session key may protect, both directions together (SP 800-67r2).
pub const MAX_SEALED_BLOCKS: u64 = 1 << 20;

/// Bytes of a block, of the IV and of the tag.
const BLOCK: usize = 8;
/// Shortest DF4A: IV, one block of padding, tag.
const SHORTEST: usize = 3 * BLOCK;
/// Longest DF4A: IV, the longest inner payload padded, tag.
const LONGEST: usize = BLOCK + (INNER_MAX / BLOCK + 1) * BLOCK + BLOCK;

/// Blocks of ciphertext that an inner payload of so many bytes takes: padding adds at least one byte.
pub fn ciphertext_blocks(inner_len: usize) -> u64 {
    u64::try_from(inner_len / BLOCK).unwrap_or(u64::MAX).saturating_add(1)
}

impl SealSuite for Tdes {
    /// The blocks run out long before these do.
    type Number = u32;
    const MAX_BLOCKS: u64 = MAX_SEALED_BLOCKS;
    const FOR_AN_ERROR: u64 = 1;

    fn blocks(inner_len: usize) -> u64 {
        ciphertext_blocks(inner_len)
    }

    fn blocks_of(sealed_len: usize) -> u64 {
        u64::try_from(sealed_len.saturating_sub(2 * BLOCK) / BLOCK).unwrap_or(u64::MAX)
    }

    fn has_length(sealed_len: usize) -> bool {
        (SHORTEST..=LONGEST).contains(&sealed_len) && sealed_len.is_multiple_of(BLOCK)
    }
}
