use serde::{Deserialize, Serialize};

use super::TokenDoubt;
use crate::KeyBlock;

/// Answers a device's RKS_FACTOR of suite 02: opens the factor, derives DIK2 and confirms under it (DF15 of RKS_TOKEN).
///
/// A stranger, a wrong factor and a bad ciphertext are no refusal: they get a confirmation of the same form under a key
/// that no device has, after the same work, and a ticket that proves nothing (2-wire.md section 8).
/// [`FactorAnswer::doubt`] tells the audit, never the peer. A ticket of another party is
/// [`DeviceNotProven`](crate::Refusal::DeviceNotProven).
///
/// Whoever may call this as often as he likes learns whether a factor that he has is one that he has the hash of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AnswerFactor {
    /// The ticket of [`BeginRks`](super::BeginRks).
    pub ticket: Vec<u8>,
    /// DF19, the factor's ciphertext.
    pub df19: Vec<u8>,
    /// The DIK1 of the device's batch; `None` for a stranger.
    pub dik1: Option<KeyBlock>,
    /// DSN, the device's serial.
    pub dsn: String,
    /// The PIN pad, the one that began.
    pub pin_pad: String,
    /// The acquirer, the one of the beginning.
    pub owner: String,
    /// SHA-256 of the factor that was registered when DIK2 was injected; `None` where none was.
    pub factor_digest: Option<[u8; 32]>,
    /// RKS_AUTH to RKS_TOKEN with their lengths, RKS_TOKEN without its DF15; at most
    /// [`MAX_TRANSCRIPT`](super::MAX_TRANSCRIPT).
    pub said: Vec<u8>,
}

/// What goes back to the device, and what proves its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactorAnswer {
    /// DF15 of RKS_TOKEN, MAC_S.
    pub confirmation: [u8; 32],
    /// What the next step needs, sealed for this HSM process alone.
    pub ticket: Vec<u8>,
    /// Why no device has the key of this confirmation, for the audit. The peer learns nothing of it until after its
    /// proof: 0006.
    pub doubt: Option<TokenDoubt>,
}
