use serde::{Deserialize, Serialize};

use super::TransportKeyBlocks;
use crate::KeyBlock;

/// Checks the terminal's Crnd2 and, only then, gives its TMK under its TEK: one act, so that no caller can have the
/// key without the proof (R11).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReleaseTmk {
    /// The ticket of the challenge.
    pub ticket: Vec<u8>,
    /// The terminal's answer, E(AUK, Rnd2).
    pub crnd2: [u8; 8],
    /// The terminal's transport key. `None` for a stranger, who is refused after the same work.
    pub transport_key: Option<TransportKeyBlocks>,
    /// The PIN pad all keys must belong to.
    pub pin_pad: String,
    /// The acquirer all keys must belong to.
    pub owner: String,
    /// The slot, 0–99.
    pub slot: u8,
    /// Optional block `11` of the TMK's block: what was said before (2-wire.md section 4).
    pub context: [u8; 16],
    /// The pending TMK to send again; a new one is made where there is none.
    pub pending: Option<KeyBlock>,
    /// Check values of TMKs already held for the slot: a new key has another.
    pub avoid: Vec<[u8; 3]>,
}

/// A TMK, ready to be stored and then sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedTmk {
    /// For the store: the pending key again, or the new one.
    pub tmk: KeyBlock,
    /// Its check value: what a right KEY_CONFIRM carries.
    pub kcv: [u8; 3],
    /// For the wire: the version B block under TEK.
    pub under_tek: String,
}
