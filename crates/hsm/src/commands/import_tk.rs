use serde::{Deserialize, Serialize};

use super::TransportKeyBlocks;
use crate::KeyBlock;

/// Takes a transport key from a vendor's batch. Replies with [`ImportedTk`], of the suite of PK's cipher.
///
/// A block that does not open, is another key's or another PIN pad's is [`Import`](crate::Refusal::Import); weak or
/// equal keys, and one that is PK itself, are [`TransportKey`](crate::Refusal::TransportKey).
///
/// Whoever may call this brings in only what the partner's HSM made for this very PIN pad.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportTk {
    /// TEK's block, as the batch has it.
    pub tek: String,
    /// AUK's block.
    pub auk: String,
    /// The PIN pad that they must belong to.
    pub pin_pad: String,
    /// The acquirer they will belong to, and PK does.
    pub owner: String,
    /// PK, agreed with `partner`.
    pub pk: KeyBlock,
    /// The partner that it must have been agreed with: the vendor.
    pub partner: String,
}

/// A transport key that came in a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedTk {
    /// Its halves, under the LMK.
    pub blocks: TransportKeyBlocks,
    /// The same for the same key whenever it comes, for whichever PIN pad, owner and partner, and under every generation
    /// of the LMK: HMAC-SHA-256 under a key that never leaves the HSM, so that it tells nothing of the key. A DES key's
    /// parity bits do not count.
    pub digest: [u8; 32],
}
