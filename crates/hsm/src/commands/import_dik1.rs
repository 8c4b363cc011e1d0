use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Takes a DIK1 that [`super::ExportDik1`] gave at the other side. Replies with a [`super::HeldKey`].
///
/// A block that does not open, whose header or label is another, and a weak key are [`Import`](crate::Refusal::Import).
///
/// Whoever may call this brings in only what the other side's HSM, or the people who hold the components, made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportDik1 {
    /// The block's text.
    pub block: String,
    /// The exchange key.
    pub under: KeyBlock,
    /// The acquirer the key will belong to, and the exchange key does.
    pub owner: String,
    /// The label that the block must carry.
    pub label: String,
}
