use serde::{Deserialize, Serialize};

/// Checks the terminal's receipt (DF17 of KEY_CONFIRM) for the keys that were released and, only then, gives the
/// server's (DF17 of DONE), in flows A, B, C and E of suite 02.
///
/// Flow and keys are those in the ticket. A wrong receipt and a ticket of another party are
/// [`NotProven`](crate::Refusal::NotProven); frames that do not fit together are
/// [`Malformed`](crate::Refusal::Malformed).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Acknowledge {
    /// The ticket of the release.
    pub ticket: Vec<u8>,
    /// All frames before KEY_CONFIRM with their lengths; at most [`MAX_TRANSCRIPT`](super::MAX_TRANSCRIPT).
    pub said_before_confirm: Vec<u8>,
    /// The same frames and KEY_CONFIRM, with its DF17.
    pub said_before_done: Vec<u8>,
    /// DF17 of KEY_CONFIRM.
    pub receipt: [u8; 32],
    /// The PIN pad, the one of the release.
    pub pin_pad: String,
    /// The acquirer, the one of the release.
    pub owner: String,
}
