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
mod host_store;
mod order_store;
mod records;
mod sqlite;
mod store;
mod suite_store;
mod tms_store;

pub use audit::{AuditBreak, AuditFault, AuditRow, AuditVerdict};
pub use device_store::DeviceStore;
pub use error::StoreError;
pub use host_store::HostStore;
pub use order_store::OrderStore;
pub use records::batch::{
    BatchEntry, BatchImport, BatchItem, BatchOutcome, BatchRecord, HistoryBatch, HistoryCollection,
    HistoryReceived, ItemResult, NewBatch, ReceivedBatch, ReceivedBatchSummary, SerialHistory, Undelivered,
};
pub use records::ceremony::{CeremonyRecord, DeviceCertificateRecord, NewCeremony, NewDeviceCertificate};
pub use records::certificate::{
    CertificateRecord, NewCertificate, NewRevocationList, NewWorkKey, RevocationListRecord,
    RevocationOutcome, WorkKeyRecord, WorkKeyState,
};
pub use records::collection::{
    Approval, ApprovalOutcome, AskingBatch, CollectedTerminal, CollectedTk, CollectionImport, ImportOutcome,
    PerTerminal, Person, Refusal, ReplacementRecord,
};
pub use records::deployment::{
    Counts, Deployment, DeploymentState, NewDeployment, Offer, OfferState, Operator, Stage, StopRule, Target,
    TmsReport, TmsTerminal, Window,
};
pub use records::device::{
    DeviceRecord, Dik1Record, Dik1Scope, HeldDmk, Identity, NewDik1, NewRksWorkKey, RksWorkKeyRecord,
};
pub use records::estate_import::{EstateImport, ImportedOutcome, ImportedTerminal};
pub use records::event::Event;
pub use records::key::{
    ConfirmOutcome, HeldKey, PendingOutcome, PutPending, ResendOutcome, SlotRecord, TkOutcome, suite_of,
};
pub use records::kld_report::{KldReport, PerReported, ReportOutcome, ReportedKey, ReportedTerminal};
pub use records::order::{Listed, NewOrder, OrderOutcome, OrderRecord, OrderSerial, OrderTerminal};
pub use records::overview::Overview;
pub use records::package::{
    FileRecord, NewPackage, Package, PackageOutcome, Requirement, StoredSignature, Vendor,
};
pub use records::refusal::{NewRefusal, RefusalEntry};
pub use records::sign_in::{ActiveWorking, NewWorking, PendingSignIn, SignInKeys, SignInOutcome};
pub use records::suite::{AllowOutcome, AllowSuite, KeyName, KeySuite, SuiteAllowance, SuiteRecords};
pub use records::terminal::{AcquirerRecord, NewAcquirer, TerminalRecord, TkRecord};
pub use records::window::{OpenWindows, WindowOutcome, WindowRecord, WindowsOutcome};
pub use records::working::{HeldWorkingKey, LoadedKey, PutWorking, WorkingKind, WorkingOutcome, WorkingSlot};
pub use records::zone::{MapOutcome, NewZoneKey, TerminalIdentity, ZoneKeyRecord};
pub use sqlite::{SqliteOptions, SqliteStore, verify_audit_file};
pub use store::Store;
pub use suite_store::SuiteStore;
pub use tms_store::TmsStore;

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
    /// Longest version of a package, in bytes (DF42).
    pub const VERSION: usize = 32;
    /// Longest path of a file in a repository, in bytes.
    pub const PATH: usize = 1_024;
    /// Longest list that is kept as JSON (models, requirements, a target, stages), and longest JSON of a vendor's
    /// repository, in bytes.
    pub const JSON: usize = 64 * 1024;
    /// Longest inventory of a terminal, in bytes of its JSON: more than one frame holds.
    pub const INVENTORY: usize = 256 * 1024;
    /// Longest status of a terminal, in bytes (DF2D).
    pub const STATUS: usize = 4_096;
    /// Roots of one vendor.
    pub const ROOTS: usize = 16;
    /// Serials put into or taken out of a group in one act.
    pub const GROUP_CHANGE: usize = 10_000;
    /// Offers and results in one act: more packages than a plan holds.
    pub const OFFERS: usize = 1_024;
    /// Offers shown with a terminal, of the newest deployments; older ones stay in the database.
    pub const OFFERS_SHOWN: u32 = 256;
    /// Largest value that proves an operator's password, sealed, in bytes.
    pub const SEALED: usize = 1_024;
    /// Wrong proofs that lock an operator (2-wire.md section 7).
    pub const OPERATOR_FAILURES: u32 = 5;
    /// Bytes in each chunk of a file but its last.
    pub const FILE_CHUNK: usize = 256 * 1024;
    /// Largest file, in bytes.
    pub const FILE: u64 = 4 * 1024 * 1024 * 1024;
    /// Working keys of one sign-in.
    pub const SIGN_IN_KEYS: usize = 3;
    /// Working keys looked up in one read.
    pub const WORKING_READ: usize = 1_024;
    /// Working keys whose uses are counted in one act.
    pub const USES: usize = 100_000;
    /// Longest terminal id or merchant id, in bytes.
    pub const IDENTITY: usize = 64;
    /// Terminals of one act of an import, identities of one act of mapping.
    pub const IMPORT: usize = 1_000;
    /// Terminals of one batch, and serials looked up in one read.
    pub const BATCH: usize = 20_000;
    /// Serials of one order.
    pub const ORDER: usize = 200_000;
    /// Longest code or text of what became of a terminal in a batch, in bytes.
    pub const RESULT_TEXT: usize = 1_024;
    /// Longest receipt, in bytes: what a batch's answer may have.
    pub const RECEIPT: usize = 16 * 1024 * 1024;
    /// Longest reason of an allowance, in bytes.
    pub const REASON: usize = 512;
    /// Refusals kept of one terminal, the newest.
    pub const REFUSALS_KEPT: u32 = 1_024;
    /// Rows in one page of a listing, whatever the caller asks for.
    pub const PAGE: u32 = 1_000;
    /// Retired keys shown with a slot, newest first; older ones stay in the database.
    pub const RETIRED_SHOWN: u32 = 8;
}
