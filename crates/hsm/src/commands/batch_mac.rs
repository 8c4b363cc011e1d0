use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// The longest text that a batch's MAC is over, in bytes: as much as an upload may have.
pub const MAX_BATCH_TEXT: usize = 16 * 1024 * 1024;

/// What a text between MTMS and KMS is. Neither passes for the other: a receipt's MAC has a prefix that the HSM puts
/// there, and a batch's text begins with `{`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BatchText {
    /// A batch without its `mac`, in the form of RFC 8785.
    Batch,
    /// The receipt for one, likewise.
    Receipt,
}

/// The MAC of a batch or of the receipt for one: CMAC with the cipher of MAK, 8 bytes under TDES and 16 under AES
/// (2-wire.md section 6).
///
/// MAK is known to both sides, so a MAC says that one of the two made the text; which of them, a batch's signature says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MacBatch {
    /// MAK, agreed with `partner`.
    pub mak: KeyBlock,
    /// The partner that it must have been agreed with.
    pub partner: String,
    /// Whose key it is.
    pub owner: String,
    /// What the text is.
    pub what: BatchText,
    /// The text: a JSON object, at most [`MAX_BATCH_TEXT`] bytes.
    pub text: Vec<u8>,
}

/// Checks the MAC of a batch or of a receipt, in constant time; a wrong one is [`BatchMac`](crate::Refusal::BatchMac).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckBatchMac {
    /// MAK, agreed with `partner`.
    pub mak: KeyBlock,
    /// The partner that it must have been agreed with.
    pub partner: String,
    /// Whose key it is.
    pub owner: String,
    /// What the text is.
    pub what: BatchText,
    /// The text: a JSON object, at most [`MAX_BATCH_TEXT`] bytes.
    pub text: Vec<u8>,
    /// The MAC that came with it.
    pub mac: Vec<u8>,
}
