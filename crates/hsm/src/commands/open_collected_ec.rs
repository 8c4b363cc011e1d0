use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Opens a collected transport key of suite 02: TEK and AUK become key blocks at once and the ciphertext can be dropped
/// (3-hardened.md, "A, collecting"). Replies with [`super::TransportKeyBlocks`].
///
/// The caller has checked the device certificate, the signature, the nonce and the generation counter. What DF09 is
/// bound to is hashed here: one that was made for another COLLECT, PIN pad or generation does not open. That, and two
/// equal keys, are [`TransportKey`](crate::Refusal::TransportKey).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenCollectedEc {
    /// The KMS's key for key agreement ([`super::EcKeyKind::KmsAgreement`]).
    pub work_key: KeyBlock,
    /// The COLLECT frame with its length, as the KMS itself builds it; at most [`MAX_FRAME`](super::MAX_FRAME).
    pub collect: Vec<u8>,
    /// The terminal's serial.
    pub sn: String,
    /// The PIN pad that made the key; SN again for a built-in one.
    pub pin_pad: String,
    /// DF18.
    pub generation: u64,
    /// DF09, 145 bytes.
    pub df09: Vec<u8>,
    /// The acquirer.
    pub owner: String,
}
