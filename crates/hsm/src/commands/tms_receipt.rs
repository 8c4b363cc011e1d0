use serde::{Deserialize, Serialize};

/// The receipt in TMS_KEY, DF17: HMAC(K(receipt s), TH(1 to 4 without DF17)) (3-hardened.md, flow E). With it the
/// terminal knows that its proof was taken by the one that has its DMK. Replies with 32 bytes.
///
/// Whoever may call this makes receipts of that session over one message of his choice behind three that were said. A
/// receipt of DONE it is not: that is over more frames, and names keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TmsReceipt {
    /// The session, from [`OpenTmsSessionEc`](super::OpenTmsSessionEc).
    pub session: Vec<u8>,
    /// The PIN pad it must belong to.
    pub pin_pad: String,
    /// The acquirer it must belong to.
    pub owner: String,
    /// TMS_HELLO to TMS_KEY, frames with their lengths, TMS_KEY without DF17: exactly four. At most
    /// [`MAX_TRANSCRIPT`](super::MAX_TRANSCRIPT).
    pub said: Vec<u8>,
}
