use serde::{Deserialize, Serialize};

use super::HeldKeyEc;
use crate::KeyBlock;

/// Takes a key that stands under an exchange key and belongs to a PIN pad: at the KMS what a KLD's report carries, at a
/// KLD a TMK or DMK that the KMS made ([`super::ExportHeld`]).
///
/// A block that does not open, whose header or place is another, and a weak key are [`Import`](crate::Refusal::Import).
///
/// Whoever may call this as often as he likes brings in only what the other side's HSM, or the people who hold the
/// components, made for this very place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportLoaded {
    /// The exchange key.
    pub under: KeyBlock,
    /// The block's text: X9.143 version B with a key of suite 01 under a TDES exchange key, version D with one of suite
    /// 02 under an AES one.
    pub block: String,
    /// The PIN pad it must belong to.
    pub pin_pad: String,
    /// What it must be.
    pub what: Held,
    /// The acquirer it will belong to, and the exchange key does.
    pub owner: String,
}

/// A kind of key that travels between KLD and KMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// The TMK of a slot, 0–99.
    Tmk {
        /// The slot.
        slot: u8,
    },
    /// The device master key.
    Dmk,
    /// The factor with which a DIK2 was derived.
    Factor,
}

/// What was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Imported {
    /// A TMK or a DMK.
    Key(HeldKey),
    /// A TMK or a DMK of suite 02, which came under an AES exchange key.
    KeyEc(HeldKeyEc),
    /// A factor.
    Factor {
        /// The factor under the LMK.
        block: KeyBlock,
        /// Its SHA-256: what an RKS registers and gives to [`super::SealRksToken`].
        digest: [u8; 32],
    },
}

/// A key under the LMK, and its check value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldKey {
    /// For the store.
    pub block: KeyBlock,
    /// For people.
    pub kcv: [u8; 3],
}
