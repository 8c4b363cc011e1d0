use serde::{Deserialize, Serialize};

/// The longest inner payload of a sealed message, in bytes (2-wire.md section 7).
pub const MAX_SEALED_PAYLOAD: usize = 65_500;

/// Seals a message of the TMS to a terminal (2-wire.md section 7, direction 01). Replies with DF4A's value.
///
/// The HSM does not count: who calls keeps the counter, and the blocks of both directions under their limit.
///
/// Whoever may call this speaks to that one terminal in that one session, in the TMS's name and in no other direction.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SealTms {
    /// The session, from [`OpenTmsSession`](super::OpenTmsSession).
    pub session: Vec<u8>,
    /// The PIN pad it must belong to.
    pub pin_pad: String,
    /// The acquirer it must belong to.
    pub owner: String,
    /// The message's number in this direction, from 0.
    pub counter: u32,
    /// The inner payload, without its length: at most [`MAX_SEALED_PAYLOAD`].
    pub payload: Vec<u8>,
}
