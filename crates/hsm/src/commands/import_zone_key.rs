use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Takes a zone's PIN key from the other side, as an X9.143 block under a zone master key that people entered by
/// components: version B with a TDES key under a TDES one, version D with an AES or a TDES key under an AES-256 one.
///
/// Taken are usage `P0`, modes `E` and `B`, any exportability; a key that may only decrypt encrypts no PINs here. A
/// block that does not open, whose header is another, or that holds a poor key is [`Import`](crate::Refusal::Import).
///
/// Whoever may call this brings in only what the holders of the zone master key made. Under the LMK the key is bound to
/// the zone's name, so that no PIN goes to another zone than the one that was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportZoneKey {
    /// The zone master key.
    pub under: KeyBlock,
    /// The block's text.
    pub block: String,
    /// The acquirer the zone master key must belong to, and the zone key will.
    pub owner: String,
    /// The zone's name: 1–32 of `A-Z a-z 0-9 - . _`.
    pub zone: String,
}

/// The cipher of a zone key or of a zone master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ZoneAlgorithm {
    /// TDES: PIN block formats 0 and 3; check values of 3 bytes.
    Tdes,
    /// AES: PIN block format 4; check values of 5 bytes.
    Aes,
}

/// A zone's PIN key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneKey {
    /// For the store.
    pub block: KeyBlock,
    /// Its cipher.
    pub algorithm: ZoneAlgorithm,
    /// Its check value: 3 bytes for TDES, 5 for AES.
    pub kcv: Vec<u8>,
}
