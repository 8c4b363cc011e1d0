//! Batches of transport keys: what an MTMS sent, and what a KMS received.

use wire::Serial;

use super::collection::{CollectedTerminal, Person, Refusal};
use super::terminal::TerminalRecord;

/// A batch to be kept at the MTMS before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// Which order.
    pub order: String,
    /// SHA-256 of its content (what was signed): what a receipt names it by.
    pub digest: [u8; 32],
    /// The CMS bytes, to be sent again byte for byte until they are answered.
    pub package: Vec<u8>,
    /// Which TK of which terminal, in the order of the batch.
    pub items: Vec<(Serial, i64)>,
}

/// A terminal whose TK may go into a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// The terminal with its TK.
    pub terminal: TerminalRecord,
    /// Under which work certificate it was collected, lower-case hex, where that is on record.
    pub work_certificate_sha256: Option<String>,
    /// Suite 02: the PIN pad's generation counter (DF18).
    pub device_generation: Option<u64>,
    /// Whether an earlier TK of this terminal was in a batch: then this one replaces it.
    pub replaces: bool,
}

/// A batch of the MTMS as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRecord {
    /// Unique in the store, rising.
    pub id: i64,
    /// Which order.
    pub order: String,
    /// SHA-256 of its content.
    pub digest: [u8; 32],
    /// Terminals in it.
    pub terminals: u64,
    /// Of them, those that the KMS took; 0 while it is not answered.
    pub accepted: u64,
    /// When it was kept, Unix milliseconds.
    pub created_at: i64,
    /// When its receipt came, Unix milliseconds.
    pub answered_at: Option<i64>,
    /// The receipt, as it came.
    pub receipt: Option<Vec<u8>>,
}

/// One terminal of a batch of the MTMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchItem {
    /// [`BatchRecord::id`].
    pub batch: i64,
    /// Which TK of the terminal.
    pub tk_generation: i64,
    /// When the batch was kept, Unix milliseconds.
    pub created_at: i64,
    /// When its receipt came, Unix milliseconds.
    pub answered_at: Option<i64>,
    /// What the KMS made of it, once it answered.
    pub result: Option<ItemResult>,
}

/// What a KMS made of one terminal of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemResult {
    /// The serial as the batch has it; at the KMS, of a malformed entry, cut to 64 characters.
    pub sn: String,
    /// Whether the KMS has its TK, in force or waiting for approval.
    pub ok: bool,
    /// For programs.
    pub code: String,
    /// For people.
    pub text: String,
    /// The fingerprint that the KMS shows.
    pub fingerprint: Option<String>,
}

/// A batch that a KMS takes: signature, chain, role, MAC and order are good, and the HSM opened what it could.
#[derive(Debug, Clone)]
pub struct BatchImport {
    /// SHA-256 over the signer's certificate and the content.
    pub digest: [u8; 32],
    /// SHA-256 of the content: the same content is taken once, whoever signed it.
    pub content_digest: [u8; 32],
    /// The CMS bytes, kept so that every TK stays traceable to who sent it.
    pub package: Vec<u8>,
    /// Who signed: the MTMS's card.
    pub signer: Person,
    /// Owner of the terminals in it.
    pub acquirer: String,
    /// The vendor that it came from.
    pub partner: String,
    /// Which order.
    pub order: String,
    /// When it was put together, Unix milliseconds, as the MTMS says.
    pub collected_at: i64,
    /// In the order of the batch.
    pub entries: Vec<BatchEntry>,
}

/// One entry of a batch.
#[derive(Debug, Clone)]
pub enum BatchEntry {
    /// A terminal; it may have been refused before it came here.
    Terminal(Box<CollectedTerminal>),
    /// An entry in which not even the terminal can be read.
    Malformed {
        /// What stands where a serial should, cut to 64 characters.
        sn: String,
        /// What is wrong with it.
        refusal: Refusal,
    },
}

/// What became of [`OrderStore::import_batch`](crate::OrderStore::import_batch).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchOutcome {
    /// Taken now.
    Stored(ReceivedBatch),
    /// The same content was taken before. Nothing was written.
    Duplicate(ReceivedBatch),
    /// The order is not there, closed, or of another vendor or buyer. Nothing was written.
    WrongOrder,
}

/// A batch that a KMS took: what its receipt is made of, always the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedBatch {
    /// Unique in the store.
    pub id: i64,
    /// Which order.
    pub order: String,
    /// The vendor that it came from.
    pub partner: String,
    /// SHA-256 of its content.
    pub content_digest: [u8; 32],
    /// Who signed it.
    pub signer: Person,
    /// When it was taken, Unix milliseconds.
    pub received_at: i64,
    /// One for each terminal, in the order of the batch.
    pub results: Vec<ItemResult>,
}

/// A batch that a KMS took, for a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedBatchSummary {
    /// [`ReceivedBatch::id`].
    pub id: i64,
    /// SHA-256 of its content.
    pub content_digest: [u8; 32],
    /// The vendor that it came from.
    pub partner: String,
    /// Who signed it.
    pub signer: Person,
    /// When it was taken, Unix milliseconds.
    pub received_at: i64,
    /// Terminals in it.
    pub terminals: u64,
    /// Of them, those that were taken.
    pub accepted: u64,
}

/// What a terminal's serial went through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialHistory {
    /// The serial.
    pub sn: Serial,
    /// Orders that list it, oldest first.
    pub orders: Vec<String>,
    /// How it came, oldest first: collections and replacements.
    pub collections: Vec<HistoryCollection>,
    /// Batches of this MTMS that it was in, oldest first.
    pub sent: Vec<HistoryBatch>,
    /// Batches that brought it to this KMS, oldest first.
    pub received: Vec<HistoryReceived>,
}

/// One TK of a terminal, and the package that brought it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryCollection {
    /// Which of the terminal's TKs it is or was; `None` of a replacement that never took effect.
    pub tk_generation: Option<i64>,
    /// The fingerprint that it brought.
    pub fingerprint: String,
    /// Who signed the package.
    pub signer: Person,
    /// The station's name for itself.
    pub station: String,
    /// When collected, Unix milliseconds, as the station says.
    pub collected_at: i64,
    /// When the package came, Unix milliseconds.
    pub uploaded_at: i64,
    /// `in-force`, `replaced`; of a replacement that never took effect `waiting`, `rejected` or `overtaken`.
    pub state: String,
    /// When it was replaced, rejected or overtaken, Unix milliseconds.
    pub until: Option<i64>,
}

/// One batch that a terminal was in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryBatch {
    /// Of which order.
    pub order: String,
    /// To whom it went.
    pub buyer: String,
    /// What is known of it there.
    pub item: BatchItem,
}

/// One batch that brought a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryReceived {
    /// [`ReceivedBatch::id`].
    pub batch: i64,
    /// Of which order.
    pub order: String,
    /// From whom.
    pub partner: String,
    /// When, Unix milliseconds.
    pub received_at: i64,
    /// What was made of it.
    pub result: ItemResult,
}
