use serde::{Deserialize, Serialize};

use super::Held;
use crate::KeyBlock;

/// Puts a TMK, a DMK or a factor under an exchange key, bound to its place: for a KLD that loads keys of the KMS, and
/// for a KLD's report that is written again. Replies with an X9.143 block: version B with a key of suite 01 under a TDES
/// exchange key, version D with one of suite 02 under an AES one. TDES never wraps AES (R7).
///
/// Whoever may call this gets nothing that he can open: nobody has the exchange key. The other side's HSM takes the block
/// for the same place and as the same kind of key only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportHeld {
    /// The key.
    pub key: KeyBlock,
    /// What it must be.
    pub what: Held,
    /// The PIN pad it must belong to.
    pub pin_pad: String,
    /// The exchange key.
    pub under: KeyBlock,
    /// The acquirer both must belong to.
    pub owner: String,
}
