use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Puts a DIK1 under an exchange key agreed by components, for a KLD. Replies with an X9.143 block: version B with a
/// key of suite 01 under a TDES exchange key, version D with one of suite 02 under an AES one; usage `B3`, mode `X`,
/// exportability `N`, its label in optional block `LB`.
///
/// Whoever may call this gets nothing that he can open. The KLD that takes it can derive the DIK2 of every serial, so a
/// DIK1 goes to a KLD only for its batch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportDik1 {
    /// The key.
    pub dik1: KeyBlock,
    /// The exchange key.
    pub under: KeyBlock,
    /// The acquirer both must belong to.
    pub owner: String,
}
