use serde::{Deserialize, Serialize};

use crate::{KeyBlock, Refusal, Sensitive};

/// The most items of one [`TranslatePins`] or [`TerminalMacs`](super::TerminalMacs).
pub const MAX_ITEMS: usize = 1024;

/// Translates PIN blocks from terminals' PIKs to zone keys: 1 to [`MAX_ITEMS`] at once. Replies with one result for
/// each item, in order; one bad item does not spoil the others.
///
/// The PAN stays. Which format may become which is ISO 9564-1's table and stricter: nothing becomes format 1.
/// A TDES PIK has formats 0, 1 and 3, an AES PIK (suite 02) format 4; a TDES zone takes formats 0 and 3, an AES zone
/// format 4.
///
/// Whoever may call this as often as he likes gets PIN blocks of the same PIN, for the same PAN, under keys of zones
/// that people set up; none of them opens here. What is wrong inside a PIN block is one answer, and format and PAN are
/// looked at before it is opened. What formats 0 and 3 themselves leave open no HSM closes: who tries one block with
/// many PANs learns, from which of them fit, something of the PIN's digits (Clulow 2003). So a host counts the
/// [`Block`](PinRefusal::Block) of each PIK and stops it early; format 4 has nothing of the kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TranslatePins {
    /// The acquirer all keys must belong to.
    pub owner: String,
    /// What to translate. A zone key that several items name is opened once.
    pub items: Vec<PinTranslation>,
}

/// One PIN block to translate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PinTranslation {
    /// The PIN pad the PIK must belong to.
    pub pin_pad: String,
    /// The slot, 0–99.
    pub slot: u8,
    /// The terminal's PIK, of either suite.
    pub pik: KeyBlock,
    /// The zone's name, which the zone key must have.
    pub zone: String,
    /// The zone key.
    pub zone_key: KeyBlock,
    /// The format that came.
    pub from: PinFormat,
    /// The format that is wanted.
    pub to: PinFormat,
    /// The PIN block as it came: 8 bytes, of format 4 16.
    pub block: Sensitive<Vec<u8>>,
    /// The PAN, its digits.
    pub pan: Sensitive<String>,
}

/// A PIN block format of ISO 9564-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PinFormat {
    /// Format 0: TDES, bound to the PAN.
    Iso0,
    /// Format 1: TDES, bound to no PAN.
    Iso1,
    /// Format 2: for chip cards alone; nothing takes it.
    Iso2,
    /// Format 3: as 0, with random filling.
    Iso3,
    /// Format 4: AES, bound to the PAN.
    Iso4,
}

/// Why a PIN block was not translated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PinRefusal {
    /// The two formats do not go together, or not with these keys.
    #[error("no PIN goes from this format to that one under these keys (ISO 9564-1)")]
    Format,
    /// The PAN is none.
    #[error("a PAN has 13 to 19 digits")]
    Pan,
    /// The PIN block does not open, whatever is wrong in it.
    #[error("the PIN block is not one of this key, format and PAN")]
    Block,
    /// A key is refused.
    #[error(transparent)]
    Key(#[from] Refusal),
}

/// What became of one item: the translated block, 8 bytes or for format 4 16.
pub type PinOutcome = Result<Vec<u8>, PinRefusal>;
