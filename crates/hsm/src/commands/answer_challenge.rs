use serde::{Deserialize, Serialize};

use super::TransportKeyBlocks;

/// Answers a terminal's Rnd1 under its AUK, and challenges it in turn.
///
/// Refuses a Rnd1 whose top bit is set: such a value is a server's Rnd2, and answering it would be an oracle
/// (attack `reflection`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AnswerChallenge {
    /// The terminal's transport key, both parts: its hash is checked at every use.
    pub transport_key: TransportKeyBlocks,
    /// The PIN pad it must belong to.
    pub pin_pad: String,
    /// The acquirer it must belong to.
    pub owner: String,
    /// The terminal's random number.
    pub rnd1: [u8; 8],
}

/// The answer, and the challenge back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// E(AUK, Rnd1).
    pub crnd1: [u8; 8],
    /// Rnd2, made in the HSM, top bit 1.
    pub rnd2: [u8; 8],
    /// Opaque proof that this HSM gave this Rnd2 for this AUK, just now. Goes back with the terminal's answer.
    pub ticket: Vec<u8>,
}
