use serde::{Deserialize, Serialize};

/// Opens a sealed message of a terminal to the TMS in a session of suite 02 (3-hardened.md, flow E, direction 00).
/// Replies with the inner payload.
///
/// Another session's message, one that was changed, one of the other direction and one of another number are
/// [`NotProven`](crate::Refusal::NotProven), all alike; so is a number below the next one of the session, since each
/// opens once. A session that the HSM no longer counts is [`SessionOver`](crate::Refusal::SessionOver).
///
/// Whoever may call this reads what that terminal said to its TMS in that session; what the TMS said does not open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenTmsEc {
    /// The session, from [`OpenTmsSessionEc`](super::OpenTmsSessionEc).
    pub session: Vec<u8>,
    /// The PIN pad it must belong to.
    pub pin_pad: String,
    /// The acquirer it must belong to.
    pub owner: String,
    /// The number that the message must have, from 0.
    pub counter: u64,
    /// DF4A's value.
    pub sealed: Vec<u8>,
}
