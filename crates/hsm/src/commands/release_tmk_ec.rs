use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Checks the terminal's TK_REPLY of suite 02 and, only then, gives its TMK under K(kbpk): one act, so that no caller
/// can have the key without the proof (R11).
///
/// A wrong confirmation, a stranger's ticket and one of another party are [`NotProven`](crate::Refusal::NotProven).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReleaseTmkEc {
    /// The ticket of the answer.
    pub ticket: Vec<u8>,
    /// DF15 of TK_REPLY, MAC_T.
    pub confirmation: [u8; 32],
    /// TK_HELLO to TK_REPLY with their lengths, TK_REPLY without its DF15; at most
    /// [`MAX_TRANSCRIPT`](super::MAX_TRANSCRIPT).
    pub said: Vec<u8>,
    /// The same frames, TK_REPLY whole: what the TMK's context is over.
    pub transcript: Vec<u8>,
    /// The PIN pad, the one of the answer.
    pub pin_pad: String,
    /// The acquirer, the one of the answer.
    pub owner: String,
    /// The slot, 0–99.
    pub slot: u8,
    /// Load counter of the slot for this sending, 1 or above, stored before it is sent.
    pub counter: u64,
    /// The pending TMK to send again; a new one is made where there is none.
    pub pending: Option<KeyBlock>,
    /// Check values of TMKs already held for the slot: a new key has another.
    pub avoid: Vec<[u8; 5]>,
}

/// Keys ready to be stored and then sent, and what their receipt is checked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedEc {
    /// The keys, in the order asked for.
    pub keys: Vec<ReleasedKeyEc>,
    /// For [`Acknowledge`](super::Acknowledge): holds these keys' check values, sealed for this HSM process alone.
    pub ticket: Vec<u8>,
}

/// A key of suite 02, ready to be stored and then sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedKeyEc {
    /// For the store: the pending key again, or the new one.
    pub block: KeyBlock,
    /// Its check value. The terminal's receipt shows that it has the key; the value itself does not travel.
    pub kcv: [u8; 5],
    /// For the wire: the version D block under K(kbpk), in flow F under the TMK.
    pub wrapped: String,
}
