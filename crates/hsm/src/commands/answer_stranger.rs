use serde::{Deserialize, Serialize};

/// Answers a terminal that is not known, so that it cannot tell (2-wire.md section 8, "A stranger learns nothing about
/// serials"): Crnd1 is the first 8 bytes of HMAC-SHA-256(S, SN ‖ 00 ‖ PIN pad serial ‖ 00 ‖ Rnd1), the same for the
/// same question. Replies with a [`super::Challenge`] whose ticket no answer fits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AnswerStranger {
    /// The serial it gave.
    pub sn: String,
    /// The PIN pad serial it gave, or SN again for a built-in one.
    pub pin_pad: String,
    /// Its random number.
    pub rnd1: [u8; 8],
}
