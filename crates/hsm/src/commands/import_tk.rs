use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Takes a transport key from a vendor's batch. Replies with [`super::TransportKeyBlocks`], of the suite of PK's cipher.
///
/// A block that does not open, is another key's or another PIN pad's is [`Import`](crate::Refusal::Import); weak or
/// equal keys are [`TransportKey`](crate::Refusal::TransportKey).
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
