use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Answers a device's RKS_FACTOR: opens the factor, derives DIK2, makes AT and TK1 and seals them under DIK2.
///
/// A stranger, a wrong factor and a bad ciphertext are no refusal: they get a token of the same form and length under a
/// random key, after the same work, and a ticket that proves nothing (2-wire.md section 8). [`RksToken::doubt`] tells
/// the audit, never the peer.
///
/// Whoever may call this as often as he likes learns whether a factor that he has is one that he has the hash of. AT and
/// TK1 are new each time, and only a holder of DIK2 opens them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SealRksToken {
    /// The RKS's private key.
    pub work_key: KeyBlock,
    /// DF20, the factor's ciphertext.
    pub df20: Vec<u8>,
    /// The DIK1 of the device's batch; `None` for a stranger.
    pub dik1: Option<KeyBlock>,
    /// DSN, the device's serial.
    pub dsn: String,
    /// The PIN pad the keys will belong to.
    pub pin_pad: String,
    /// The acquirer all keys must belong to.
    pub owner: String,
    /// SHA-256 of the factor that was registered when DIK2 was injected; `None` where none was.
    pub factor_digest: Option<[u8; 32]>,
    /// Optional block `11`: RKS_AUTH, RKS_CERT, RKS_FACTOR.
    pub context: [u8; 16],
}

/// What goes back to the device, and what proves its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RksToken {
    /// For the wire: AT ‖ TK1 as a key block under DIK2.
    pub df21: String,
    /// AT and TK1, sealed for this HSM process alone. Goes back with the device's proof.
    pub ticket: Vec<u8>,
    /// Why nothing opens this token, for the audit. The peer learns nothing of it until after its proof: 0006.
    pub doubt: Option<TokenDoubt>,
}

/// Why a device gets a token that nothing opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum TokenDoubt {
    /// No DIK1 was named: the serial is unknown.
    #[error("the device is unknown")]
    Stranger,
    /// DF20 does not open under the work key, or is no factor.
    #[error("the factor's ciphertext does not open, or holds no factor")]
    Ciphertext,
    /// No factor was registered for the device.
    #[error("no factor was registered for the device: has the KLD's report been imported?")]
    Unregistered,
    /// Not the factor that was registered.
    #[error("the factor is not the one that was registered when DIK2 was injected")]
    WrongFactor,
    /// DIK2 has weak or equal parts.
    #[error("DIK2 has weak or equal parts: inject it again with another factor")]
    PoorDik2,
}
