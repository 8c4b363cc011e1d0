//! Estates that move in from another system (flow F).

use wire::{Device, Kcv, Slot};

use crate::HeldDmk;

/// Some terminals of an estate. An estate is imported by several of these, all with the same digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstateImport {
    /// SHA-256 that stands for the whole estate's file.
    pub digest: [u8; 32],
    /// Where it comes from, for people.
    pub source: String,
    /// The owner.
    pub acquirer: String,
    /// At most [`limits::IMPORT`](crate::limits::IMPORT).
    pub terminals: Vec<ImportedTerminal>,
}

/// One terminal of an estate, its keys opened and made blocks under the HSM's master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedTerminal {
    /// Its serials.
    pub device: Device,
    /// Vendor id (DF30).
    pub vendor: Option<String>,
    /// Model id (DF31).
    pub model: Option<String>,
    /// TMKs: slot, block, check value. They become active.
    pub tmks: Vec<(Slot, String, Kcv)>,
    /// DMK, if it has one.
    pub dmk: Option<HeldDmk>,
    /// Terminal id, if it has one.
    pub terminal_id: Option<String>,
    /// Merchant id; looked at only with a terminal id.
    pub merchant_id: Option<String>,
}

/// What became of one terminal of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportedOutcome {
    /// It is in the estate.
    Stored,
    /// Its serial was known. Nothing of it was changed.
    AlreadyKnown,
    /// Keys at its PIN pad's serial belong to another terminal. Nothing of it was kept.
    PairTaken,
    /// Another terminal has its terminal id. Nothing of it was kept.
    TerminalIdTaken,
    /// It names a slot twice. Nothing of it was kept.
    SlotTwice,
}
