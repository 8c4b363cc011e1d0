use serde::{Deserialize, Serialize};

use super::{ZoneAlgorithm, ZoneKey};
use crate::KeyBlock;

/// Makes a zone's PIN key, 24 bytes TDES or 32 bytes AES, and gives it to the other side under the zone master key:
/// X9.143 version B or D, usage `P0`, mode `B`, exportability `N`. An AES key does not travel under a TDES one.
///
/// Whoever may call this gets nothing that he can open; a key that the other side does not have opens no PIN there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeZoneKey {
    /// The zone master key.
    pub under: KeyBlock,
    /// The acquirer it must belong to, and the zone key will.
    pub owner: String,
    /// The zone's name: 1–32 of `A-Z a-z 0-9 - . _`.
    pub zone: String,
    /// The new key's cipher.
    pub algorithm: ZoneAlgorithm,
}

/// A new zone key, for both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeZoneKey {
    /// For this side's store.
    pub key: ZoneKey,
    /// For the other side: the block under the zone master key.
    pub under_zone: String,
}
