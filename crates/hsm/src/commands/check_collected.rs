use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Opens a collected transport key, checks it (hash, weak parts, TEK ≠ AUK) and forgets it: what the KMS does with
/// each terminal of an upload (2-wire.md section 4, flow A).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckCollected {
    /// Pr of the work certificate the key was collected under.
    pub work_key: KeyBlock,
    /// `Ctk_Pu`, as long as the modulus.
    pub ctk_pu: Vec<u8>,
    /// The acquirer.
    pub owner: String,
}
