use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Moves a key block from an earlier generation of the LMK to the present one. Usage, place and owner stay; a block
/// that is already of the present generation comes back as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rewrap {
    /// The block to move.
    pub block: KeyBlock,
}
