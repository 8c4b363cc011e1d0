use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// The most keys that one [`ReleaseRksKeys`] gives; a device that wants more runs the flow again (DF24).
pub const MAX_RKS_KEYS: usize = 64;

/// The longest transcript, in bytes: RKS_AUTH to RKS_PROOF with a chain of certificates, TMS_HELLO to TMS_PROOF.
pub const MAX_TRANSCRIPT: usize = 64 * 1024;

/// Checks a device's RKS_PROOF and, only then, gives its keys under TK: one act, so that no caller can have a key
/// without the proof. AT, TK1 and TK are gone when it returns.
///
/// Every failure of the proof is [`DeviceNotProven`](crate::Refusal::DeviceNotProven), which tells the audit why.
///
/// Whoever may call this with an honest device's proof gives that device keys of its own PIN pad, as often as the ticket
/// lasts, and can open none of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReleaseRksKeys {
    /// The RKS's private key.
    pub work_key: KeyBlock,
    /// DF22, the proof's ciphertext.
    pub df22: Vec<u8>,
    /// The ticket of the token.
    pub ticket: Vec<u8>,
    /// The acquirer all keys must belong to.
    pub owner: String,
    /// The PIN pad all keys must belong to, the one of the token.
    pub pin_pad: String,
    /// The keys to give, in the order in which RKS_KEYS carries them: 1 to [`MAX_RKS_KEYS`].
    pub wanted: Vec<RksWanted>,
    /// All frames of this flow so far, RKS_AUTH to RKS_PROOF: each block's context is over them and over the texts of
    /// the blocks before it. At most [`MAX_TRANSCRIPT`].
    pub transcript: Vec<u8>,
}

/// One key to give.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RksWanted {
    /// The slot, 0–99; a working key has its TMK's.
    pub slot: u8,
    /// What to give.
    pub kind: RksKeyKind,
    /// The pending key to send again; a new one is made where there is none.
    pub pending: Option<KeyBlock>,
    /// Check values that a new key must not have.
    pub avoid: Vec<[u8; 3]>,
}

/// A kind of key that an RKS gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RksKeyKind {
    /// Terminal master key, 24 bytes.
    Tmk,
    /// PIN encryption key, 24 bytes.
    Pik,
    /// MAC key, 16 bytes.
    Mak,
}

/// A key, ready to be stored and then sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedKey {
    /// For the store: the pending key again, or the new one.
    pub block: KeyBlock,
    /// Its check value: what a right KEY_CONFIRM carries.
    pub kcv: [u8; 3],
    /// For the wire: the version B block under TK of flow C, under the DWK in flow E, under the TMK in flow F.
    pub under_tk: String,
}
