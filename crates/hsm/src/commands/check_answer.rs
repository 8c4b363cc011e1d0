use serde::{Deserialize, Serialize};

use super::TransportKeyBlocks;

/// Checks a terminal's Crnd2 and gives nothing: for a terminal that has proved itself and is then told why it gets no
/// key (codes that go "to a proven peer only").
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckAnswer {
    /// The ticket of the challenge.
    pub ticket: Vec<u8>,
    /// The terminal's answer, E(AUK, Rnd2).
    pub crnd2: [u8; 8],
    /// The transport key the challenge was answered under.
    pub transport_key: TransportKeyBlocks,
    /// The PIN pad it must belong to.
    pub pin_pad: String,
    /// The acquirer it must belong to.
    pub owner: String,
}
