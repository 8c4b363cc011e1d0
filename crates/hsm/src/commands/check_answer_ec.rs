use serde::{Deserialize, Serialize};

/// Checks a terminal's TK_REPLY of suite 02 and gives nothing: for a terminal that has proved itself and is then told
/// why it gets no key.
///
/// A wrong confirmation and a stranger's ticket are [`NotProven`](crate::Refusal::NotProven).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckAnswerEc {
    /// The ticket of the answer.
    pub ticket: Vec<u8>,
    /// DF15 of TK_REPLY, MAC_T.
    pub confirmation: [u8; 32],
    /// TK_HELLO to TK_REPLY with their lengths, TK_REPLY without its DF15; at most
    /// [`MAX_TRANSCRIPT`](super::MAX_TRANSCRIPT).
    pub said: Vec<u8>,
    /// The PIN pad, the one of the answer.
    pub pin_pad: String,
    /// The acquirer, the one of the answer.
    pub owner: String,
}
