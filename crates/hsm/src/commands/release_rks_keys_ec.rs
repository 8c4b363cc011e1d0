use serde::{Deserialize, Serialize};

use super::RksKeyKind;
use crate::KeyBlock;

/// Checks a device's RKS_PROOF of suite 02 and, only then, gives its keys under K(kbpk): one act, so that no caller can
/// have a key without the proof. Replies with [`super::ReleasedEc`].
///
/// Every failure of the proof is [`DeviceNotProven`](crate::Refusal::DeviceNotProven), which tells the audit why.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReleaseRksKeysEc {
    /// The ticket of [`AnswerFactor`](super::AnswerFactor).
    pub ticket: Vec<u8>,
    /// DF15 of RKS_PROOF, MAC_T.
    pub confirmation: [u8; 32],
    /// RKS_AUTH to RKS_PROOF with their lengths, RKS_PROOF without its DF15; at most
    /// [`MAX_TRANSCRIPT`](super::MAX_TRANSCRIPT).
    pub said: Vec<u8>,
    /// The same frames, RKS_PROOF whole: each block's context is over them and over the texts of the blocks before it.
    pub transcript: Vec<u8>,
    /// The PIN pad, the one that began.
    pub pin_pad: String,
    /// The acquirer, the one of the beginning.
    pub owner: String,
    /// The keys to give, in the order in which RKS_KEYS carries them: 1 to [`MAX_RKS_KEYS`](super::MAX_RKS_KEYS).
    pub wanted: Vec<RksWantedEc>,
}

/// One key of suite 02 to give.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RksWantedEc {
    /// The slot, 0–99; a working key has its TMK's.
    pub slot: u8,
    /// What to give; all are AES-128.
    pub kind: RksKeyKind,
    /// Load counter of the slot for this sending, 1 or above: with a TMK, and with nothing else.
    pub counter: Option<u64>,
    /// The pending key to send again; a new one is made where there is none.
    pub pending: Option<KeyBlock>,
    /// Check values that a new key must not have.
    pub avoid: Vec<[u8; 5]>,
}
