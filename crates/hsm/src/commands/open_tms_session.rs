use serde::{Deserialize, Serialize};

use super::ReleasedKey;
use crate::KeyBlock;

/// Checks a terminal's TMS_PROOF and, only then, makes the session key, and the TMK where one is wanted: one act, so
/// that no caller can have either without the proof (2-wire.md section 4, flow E).
///
/// A wrong SAC_1, a stranger's ticket and one of another party are [`NotProven`](crate::Refusal::NotProven). A wrong
/// operator proof, and one of an operator that is not known, are
/// [`OperatorNotProven`](crate::Refusal::OperatorNotProven), looked at only after SAC_1 was right: nobody tries
/// passwords without a terminal.
///
/// Whoever may call this with an honest terminal's proof gives that terminal a session, as often as the ticket lasts,
/// and can open nothing of it but what the terminal says to its TMS.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenTmsSession {
    /// The ticket of the answer.
    pub ticket: Vec<u8>,
    /// The PIN pad, the one of the answer.
    pub pin_pad: String,
    /// The acquirer, the one of the answer.
    pub owner: String,
    /// DF38: MAC of S_DATA under the DWK.
    pub sac_1: [u8; 4],
    /// The operator's claim, where the proof carries one.
    pub operator: Option<OperatorClaim>,
    /// All frames so far, TMS_HELLO to TMS_PROOF, with their lengths: the session key's context is over them, the
    /// TMK's also over the session key's block. At most [`MAX_TRANSCRIPT`](super::MAX_TRANSCRIPT).
    pub transcript: Vec<u8>,
    /// The TMK of transaction 0001; `None` for 0002.
    pub tmk: Option<TmkWanted>,
}

/// Who the operator says to be, and his proof.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OperatorClaim {
    /// DF3D: 1–16 of `A-Z a-z 0-9 - . _`.
    pub operator: String,
    /// What [`EnrolOperator`](super::EnrolOperator) gave for him; `None` for one that is not known, who is refused
    /// after the same work.
    pub verifier: Option<Vec<u8>>,
    /// DF3E.
    pub proof: [u8; 32],
}

/// A TMK to give.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TmkWanted {
    /// The slot, 0–99.
    pub slot: u8,
    /// The pending TMK to send again; a new one is made where there is none.
    pub pending: Option<KeyBlock>,
    /// Check values of TMKs already held for the slot: a new key has another.
    pub avoid: Vec<[u8; 3]>,
}

/// An open session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmsSession {
    /// DWK and session key, sealed for this HSM process alone, for the party and 24 hours: what
    /// [`SealTms`](super::SealTms) and [`OpenTms`](super::OpenTms) take.
    pub session: Vec<u8>,
    /// DF40 of TMS_KEY: the session key as a key block under the DWK.
    pub session_block: String,
    /// FF21 of TMS_KEY, where one was wanted.
    pub tmk: Option<ReleasedKey>,
}
