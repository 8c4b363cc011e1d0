use serde::{Deserialize, Serialize};

use super::Held;
use crate::KeyBlock;

/// Takes a terminal's TMK or DMK from another system, as an X9.143 block under a zone master key: how an estate moves
/// in. Replies with a [`HeldKey`](super::HeldKey).
///
/// Version B under a TDES key, D under an AES-256 one; usage `K0` or `K1` for a TMK, also `11` for a DMK; algorithm
/// `T`, 24 bytes. An optional block `10`, where there is one, must be the key's own place; other proprietary ones are
/// refused, the standard's own are ignored. What else comes, and a poor key, is [`Import`](crate::Refusal::Import).
///
/// Whoever may call this puts a key that the holders of the zone master key made at a place of his choice, where no
/// block `10` says otherwise: an import is an act of people, on a file whose check values they compare.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportUnderZone {
    /// The zone master key.
    pub under: KeyBlock,
    /// The block's text.
    pub block: String,
    /// What it must be: a TMK or a DMK.
    pub what: Held,
    /// The PIN pad it will belong to.
    pub pin_pad: String,
    /// The acquirer the zone master key must belong to, and the key will.
    pub owner: String,
}
