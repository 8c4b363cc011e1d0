use serde::{Deserialize, Serialize};

/// Seals a message of the TMS to a terminal in a session of suite 02: AES-256-GCM under K(frame s) with the message's
/// number as nonce (3-hardened.md, flow E). Replies with DF4A's value.
///
/// The HSM keeps the next number of each open session and seals each number once: another number than the next is
/// [`Malformed`](crate::Refusal::Malformed), and nothing is used up by it. Its memory of sessions is bounded
/// ([`MAX_TMS_SESSIONS`]); a session that was pushed out of it is over:
/// [`SessionOver`](crate::Refusal::SessionOver), and the terminal begins another.
///
/// Whoever may call this speaks to that one terminal in that one session, in the TMS's name and in no other direction.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SealTmsEc {
    /// The session, from [`OpenTmsSessionEc`](super::OpenTmsSessionEc).
    pub session: Vec<u8>,
    /// The PIN pad it must belong to.
    pub pin_pad: String,
    /// The acquirer it must belong to.
    pub owner: String,
    /// The message's number in this direction, from 0.
    pub counter: u64,
    /// The inner payload, without its length: at most [`MAX_SEALED_PAYLOAD`](super::MAX_SEALED_PAYLOAD).
    pub payload: Vec<u8>,
}

/// The most sessions of suite 02 whose numbers an HSM keeps; the oldest is pushed out by one more.
pub const MAX_TMS_SESSIONS: usize = 262_144;
