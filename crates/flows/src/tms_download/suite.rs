//! What a suite's seal is like, as far as frames and counts go; sealing itself is the PIN pad's and the HSM's.

use crate::Suite;

/// A suite of flow E's sealed phase.
pub trait SealSuite: Suite {
    /// The number that each sealed message of a direction has.
    type Number: Copy + TryFrom<u64>;

    /// Blocks that a session's keys may protect, both directions together.
    const MAX_BLOCKS: u64;

    /// Blocks that only an ERROR may use, so that there is room to tell that the limit is reached: one without a text.
    const FOR_AN_ERROR: u64;

    /// Blocks that sealing an inner payload of so many bytes takes.
    fn blocks(inner_len: usize) -> u64;

    /// Blocks that a DF4A of so many bytes took.
    fn blocks_of(sealed_len: usize) -> u64;

    /// Whether a DF4A can have so many bytes.
    fn has_length(sealed_len: usize) -> bool;
}
