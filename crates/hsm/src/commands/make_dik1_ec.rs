use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Makes a DIK1 of suite 02, 32 bytes, from which the DIK2 of each device is derived. Replies with a [`HeldKeyEc`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeDik1Ec {
    /// The acquirer the key belongs to.
    pub owner: String,
    /// What it is called: 1–32 of `A-Z a-z 0-9 - . _`. Stays with the key, over export and import too.
    pub label: String,
}

/// A key of suite 02 under the LMK, and its check value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldKeyEc {
    /// For the store.
    pub block: KeyBlock,
    /// For people.
    pub kcv: [u8; 5],
}
