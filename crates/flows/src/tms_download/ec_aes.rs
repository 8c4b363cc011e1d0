//! Suite 02: AES-256-GCM with the number as nonce, a key for each direction (3-hardened.md, flow E).

use super::{SealSuite, sealed::INNER_MAX};
use crate::EcAes;

/// Bytes of a block and of the tag.
const BLOCK: usize = 16;
/// Shortest inner payload, bytes: version and type.
const INNER_MIN: usize = 2;

impl SealSuite for EcAes {
    type Number = u64;

    /// 256 GiB. No nonce repeats, so what wears out is that a block of ciphertext never comes twice under one key: with
    /// 2^34.5 blocks under one key (24 million records of 2^14 bytes) ciphertext is told from random bits with a
    /// probability of about 2^-57 (RFC 8446 section 5.5). Here both directions share the count, though each has a key of
    /// its own.
    const MAX_BLOCKS: u64 = 1 << 34;
    const FOR_AN_ERROR: u64 = 2;

    /// One more than the ciphertext has: the tag is masked with a block, too.
    fn blocks(inner_len: usize) -> u64 {
        u64::try_from(inner_len.div_ceil(BLOCK)).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn blocks_of(sealed_len: usize) -> u64 {
        Self::blocks(sealed_len.saturating_sub(BLOCK))
    }

    fn has_length(sealed_len: usize) -> bool {
        (INNER_MIN + BLOCK..=INNER_MAX + BLOCK).contains(&sealed_len)
    }
}
