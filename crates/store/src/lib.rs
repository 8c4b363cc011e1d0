//! What the servers remember: key blocks, ciphertext and the audit chain, never a clear key.
//!
//! [`Store`] is the whole interface. [`SqliteStore`] keeps it in one file; a shared database comes behind the
//! same trait and must pass the same conformance cases (`tests/conformance`).
//!
//! Three rules hold for every implementation:
//!
//! 1. **An act and its audit event are one.** Whatever changes something takes an [`Event`], written in the same
//!    transaction. If the event cannot be written, the act did not happen (4-requirements.md R30).
//! 2. **An answer means it is on the disk.** A method that changes something returns `Ok` only after the commit is
//!    durable, so a message may leave that depends on it.
//! 3. **Nothing secret is here in clear.** Keys arrive as X9.143 blocks under the HSM's master key or as OAEP
//!    ciphertext; this crate cannot open either.
//!
//! Times are Unix milliseconds and always given by the caller: the store has no clock.

mod audit;
mod device_store;
mod error;
mod records;
mod sqlite;
mod store;

pub use audit::{AuditBreak, AuditFault, AuditRow, AuditVerdict};
pub use device_store::DeviceStore;
pub use error::StoreError;
pub use records::certificate::{
    CertificateRecord, NewCertificate, NewRevocationList, NewWorkKey, RevocationListRecord,
    RevocationOutcome, WorkKeyRecord, WorkKeyState,
};
pub use records::collection::{
    Approval, ApprovalOutcome, CollectedTerminal, CollectionImport, ImportOutcome, PerTerminal, Person,
    Refusal, ReplacementRecord,
};
pub use records::device::{
    DeviceRecord, Dik1Record, Dik1Scope, HeldDmk, Identity, NewDik1, NewRksWorkKey, RksWorkKeyRecord,
};
pub use records::event::Event;
pub use records::key::{
    ConfirmOutcome, HeldKey, PendingOutcome, PutPending, ResendOutcome, SlotRecord, TkOutcome,
};
pub use records::kld_report::{KldReport, PerReported, ReportOutcome, ReportedKey, ReportedTerminal};
pub use records::overview::Overview;
pub use records::refusal::{NewRefusal, RefusalEntry};
pub use records::terminal::{AcquirerRecord, NewAcquirer, TerminalRecord, TkRecord};
pub use records::window::{OpenWindows, WindowOutcome, WindowRecord, WindowsOutcome};
pub use records::working::{HeldWorkingKey, LoadedKey, PutWorking, WorkingKind, WorkingOutcome, WorkingSlot};
pub use sqlite::{SqliteOptions, SqliteStore, verify_audit_file};
pub use store::Store;

/// Sizes that the store refuses to exceed, so that no caller can fill it with one act.
pub mod limits {
    /// Longest `kind`, `actor` or `subject` of an event, in bytes.
    pub const EVENT_TEXT: usize = 1024;
    /// Longest `detail` of an event, in bytes of its canonical JSON.
    pub const EVENT_DETAIL: usize = 64 * 1024;
    /// Largest signed collection package, in bytes.
    pub const PACKAGE: usize = 32 * 1024 * 1024;
    /// Largest certificate or revocation list, in bytes of DER.
    pub const DER: usize = 8 * 1024 * 1024;
    /// Longest key block, in characters: X9.143 gives its length four digits.
    pub const KEY_BLOCK: usize = 9_999;
    /// Largest Ctk_Pu: RSA of 4 096 bits (2-wire.md section 4).
    pub const CTK_PU: usize = 512;
    /// Longest name of a KLD, a run, a DIK1 or a check, in bytes.
    pub const NAME: usize = 128;
    /// Refusals kept of one terminal, the newest.
    pub const REFUSALS_KEPT: u32 = 1_024;
    /// Rows in one page of a listing, whatever the caller asks for.
    pub const PAGE: u32 = 1_000;
    /// Retired keys shown with a slot, newest first; older ones stay in the database.
    pub const RETIRED_SHOWN: u32 = 8;
}
