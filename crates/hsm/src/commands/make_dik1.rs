use serde::{Deserialize, Serialize};

/// Makes a DIK1, from which the DIK2 of each device is derived: one for each acquirer, or for each model and batch.
/// Replies with a [`super::HeldKey`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeDik1 {
    /// The acquirer the key belongs to.
    pub owner: String,
    /// What it is called: 1–32 of `A-Z a-z 0-9 - . _`. Stays with the key, over export and import too.
    pub label: String,
}
