//! What a KLD reports of a run: which keys are in which terminals now.

use wire::{Device, Kcv, Serial, Slot};

use super::collection::{Person, Refusal};

/// A report whose signature, chain and role are good, its blocks imported by the HSM.
#[derive(Debug, Clone)]
pub struct KldReport {
    /// SHA-256 of the signed content: the same content is taken once, however often it was signed.
    pub content_digest: [u8; 32],
    /// SHA-256 of the CMS bytes.
    pub digest: [u8; 32],
    /// The CMS bytes, kept.
    pub package: Vec<u8>,
    /// Who signed: the KLD's operator card.
    pub signer: Person,
    /// Owner of the terminals in it.
    pub acquirer: String,
    /// The KLD's name.
    pub kld: String,
    /// The run's name, unique for the KLD.
    pub run: String,
    /// When the run was opened, Unix milliseconds, as the KLD says.
    pub opened_at: i64,
    /// When it was closed.
    pub closed_at: i64,
    /// In the order of the report.
    pub terminals: Vec<ReportedTerminal>,
    /// Serials that the KLD found served twice: what it loaded there is not believed.
    pub compromised: Vec<Serial>,
}

/// One terminal of a report.
#[derive(Debug, Clone)]
pub struct ReportedTerminal {
    /// SN, and the PIN pad's serial where external.
    pub device: Device,
    /// What was loaded; nothing where loading failed.
    pub keys: Vec<ReportedKey>,
    /// Why nothing was loaded, as the KLD says.
    pub failed: Option<String>,
    /// Why the checks before the store refuse it; then only the audit learns of it.
    pub refused: Option<Refusal>,
}

/// One key that is in a terminal now. Blocks are under the HSM's master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportedKey {
    /// A TMK.
    Tmk {
        /// Its slot.
        slot: Slot,
        /// Its block.
        block: String,
        /// Its check value.
        kcv: Kcv,
        /// The load counter that it was loaded with, in suite 02.
        load_counter: Option<u64>,
    },
    /// The DMK.
    Dmk {
        /// Its block.
        block: String,
        /// Its check value.
        kcv: Kcv,
    },
    /// DIK2, as DIK1 and factor.
    Dik2 {
        /// The DIK1's label.
        dik1: String,
        /// SHA-256 of the factor.
        factor_digest: [u8; 32],
        /// The factor's block.
        factor: String,
        /// DIK2's check value, as the KLD told it.
        kcv: Kcv,
    },
}

/// What became of [`DeviceStore::import_kld_report`](crate::DeviceStore::import_kld_report).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportOutcome {
    /// The same content was taken before. Nothing was written.
    Duplicate,
    /// Taken; one answer for each terminal, in order.
    Stored(Vec<PerReported>),
}

/// What became of one terminal of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PerReported {
    /// Its keys are known now.
    Taken {
        /// How many of them were new.
        new: usize,
    },
    /// The KLD loaded nothing there. Nothing changed.
    NothingLoaded,
    /// The KLD found the serial served twice: nothing of this run is believed, and the RKS serves it no more until it
    /// is loaded anew.
    Compromised,
    /// A later run loaded it, or one of its TMKs was replaced since. Nothing changed.
    Overtaken,
    /// It is recorded with another PIN pad. Nothing changed.
    OtherPinPad {
        /// The PIN pad's serial as recorded.
        recorded: Serial,
    },
    /// The PIN pad's serial belongs to another terminal. Nothing changed.
    SerialPairTaken {
        /// The terminal that has it.
        by: Serial,
    },
    /// It belongs to another acquirer. Nothing changed.
    OtherAcquirer,
    /// No such DIK1 is of this acquirer. Nothing changed.
    UnknownDik1 {
        /// The label that the report names.
        label: String,
    },
    /// The caller's own refusal, handed back.
    Refused(Refusal),
}
