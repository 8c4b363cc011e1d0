use serde::{Deserialize, Serialize};

/// Opens a sealed message of a terminal to the TMS (2-wire.md section 7, direction 00). Replies with the inner payload.
///
/// Another session's message, a replayed or reordered one, one that was changed and one of the other direction are
/// [`NotProven`](crate::Refusal::NotProven), all alike.
///
/// Whoever may call this reads what that terminal said to its TMS in that session; what the TMS said does not open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenTms {
    /// The session, from [`OpenTmsSession`](super::OpenTmsSession).
    pub session: Vec<u8>,
    /// The PIN pad it must belong to.
    pub pin_pad: String,
    /// The acquirer it must belong to.
    pub owner: String,
    /// The number that the message must have, from 0.
    pub counter: u32,
    /// DF4A's value.
    pub sealed: Vec<u8>,
}
