use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Opens a collected transport key for good: at a terminal's first download TEK and AUK become key blocks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenCollected {
    /// Pr of the work certificate the key was collected under.
    pub work_key: KeyBlock,
    /// `Ctk_Pu`, as long as the modulus.
    pub ctk_pu: Vec<u8>,
    /// The PIN pad that made the key.
    pub pin_pad: String,
    /// The acquirer.
    pub owner: String,
}

/// TEK and AUK, bound to their PIN pad and owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportKeyBlocks {
    /// Transport encryption key.
    pub tek: KeyBlock,
    /// Transport authentication key.
    pub auk: KeyBlock,
}
