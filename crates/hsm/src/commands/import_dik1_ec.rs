use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Takes a DIK1 of suite 02 that [`super::ExportDik1`] gave at the other side under an AES exchange key. Replies with a
/// [`super::HeldKeyEc`].
///
/// A block that does not open and one whose header or label is another are [`Import`](crate::Refusal::Import).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportDik1Ec {
    /// The block's text: X9.143 version D.
    pub block: String,
    /// The AES exchange key.
    pub under: KeyBlock,
    /// The acquirer the key will belong to, and the exchange key does.
    pub owner: String,
    /// The label that the block must carry.
    pub label: String,
}
