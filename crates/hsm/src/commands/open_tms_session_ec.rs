use serde::{Deserialize, Serialize};

use super::{OperatorClaim, ReleasedKeyEc};
use crate::KeyBlock;

/// Checks a terminal's TMS_PROOF of suite 02 and, only then, opens its session and gives the TMK where one is wanted:
/// one act, so that no caller can have either without the proof (3-hardened.md, flow E). The ticket is that of
/// [`AnswerHello`](super::AnswerHello), asked for the flow of the TMS.
///
/// A wrong confirmation, a stranger's ticket, one of another party or of another flow are
/// [`NotProven`](crate::Refusal::NotProven). A wrong operator proof, and one of an operator that is not known, are
/// [`OperatorNotProven`](crate::Refusal::OperatorNotProven), looked at only after the confirmation was right: nobody
/// tries passwords without a terminal.
///
/// Whoever may call this with an honest terminal's proof gives that terminal a session, and can open nothing of it but
/// what the terminal says to its TMS. A proof opens one session: the second call with a ticket is
/// [`NotProven`](crate::Refusal::NotProven), since two sessions of one run would have the same keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenTmsSessionEc {
    /// The ticket of the answer.
    pub ticket: Vec<u8>,
    /// DF15 of TMS_PROOF.
    pub confirmation: [u8; 32],
    /// TMS_HELLO, TMS_CHALLENGE and TMS_PROOF without DF15, frames with their lengths: what the confirmation is over.
    /// At most [`MAX_TRANSCRIPT`](super::MAX_TRANSCRIPT).
    pub said: Vec<u8>,
    /// The same with TMS_PROOF whole: the TMK's context is over it. At most [`MAX_TRANSCRIPT`](super::MAX_TRANSCRIPT).
    pub transcript: Vec<u8>,
    /// The PIN pad, the one of the answer.
    pub pin_pad: String,
    /// The acquirer, the one of the answer.
    pub owner: String,
    /// DF34 of TMS_HELLO: what an operator's proof is over.
    pub t_data: [u8; 10],
    /// DF35 of TMS_CHALLENGE.
    pub s_data: [u8; 10],
    /// The operator's claim, where the proof carries one.
    pub operator: Option<OperatorClaim>,
    /// The TMK of transaction 0001; `None` for 0002.
    pub tmk: Option<TmkWantedEc>,
}

/// A TMK of suite 02 to give.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TmkWantedEc {
    /// The slot, 0–99.
    pub slot: u8,
    /// The slot's next load counter, stored before the key is sent.
    pub counter: u64,
    /// The pending TMK to send again; a new one is made where there is none.
    pub pending: Option<KeyBlock>,
    /// Check values of TMKs already held for the slot: a new key has another.
    pub avoid: Vec<[u8; 5]>,
}

/// An open session of suite 02.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmsSessionEc {
    /// What the session's keys come from, sealed for this HSM process alone, for the party and 24 hours: what
    /// [`TmsReceipt`](super::TmsReceipt), [`SealTmsEc`](super::SealTmsEc) and [`OpenTmsEc`](super::OpenTmsEc) take.
    pub session: Vec<u8>,
    /// FF21 of TMS_KEY, where one was wanted.
    pub tmk: Option<ReleasedKeyEc>,
    /// For [`Acknowledge`](super::Acknowledge): holds the TMK's check value, and no key's where none is given.
    pub ticket: Vec<u8>,
}
