//! What can go wrong between an MTMS and its partners.

use hsm::HsmError;
use store::StoreError;

/// Why a dispatch stops. What was stored before stays; dispatching again goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No order of that name.
    #[error("there is no order {order}; list them with `keyferry mtms order list`")]
    NoOrder {
        /// The name that was given.
        order: String,
    },
    /// The order is of another vendor.
    #[error("order {order} is one of {vendor}, and this MTMS is {own}'s: dispatch it there")]
    OtherVendor {
        /// The order.
        order: String,
        /// Whose it is.
        vendor: String,
        /// Who we are.
        own: String,
    },
    /// The keys given are another partner's than the order's buyer.
    #[error("order {order} was bought by {buyer}; {partner} gets nothing of it")]
    OtherBuyer {
        /// The order.
        order: String,
        /// Who bought it.
        buyer: String,
        /// Whose keys and address were given.
        partner: String,
    },
    /// No keys are agreed with the buyer in the suite of a batch that waits for its answer.
    #[error(
        "no keys of suite {suite} are agreed with {buyer}: [[partners]] had them when the batch was made"
    )]
    NoKeys {
        /// The order's buyer.
        buyer: String,
        /// The suite of the batch.
        suite: wire::Suite,
    },
    /// The order is closed, and some of its terminals were collected and never sent.
    #[error(
        "order {order} is closed: no further batch is made for it, and {left} of its terminals were collected and never \
         sent. Enter a new order that lists them"
    )]
    OrderClosed {
        /// The order.
        order: String,
        /// Terminals that are left, or as many as one page has.
        left: usize,
    },
    /// Another dispatch put the same terminals into a batch.
    #[error(
        "another dispatch of order {order} runs: it has these terminals in a batch. Wait for it, and dispatch again"
    )]
    Raced {
        /// The order.
        order: String,
    },
    /// A batch that was packed before is none as this program packs them.
    #[error("batch {id} in the database is damaged: {why}; restore the database from its backup")]
    PackageDamaged {
        /// The store's number for it.
        id: i64,
        /// What is wrong with it.
        why: String,
    },
    /// The work key that a TK was collected under is not there.
    #[error("the work key {certificate_sha256}, under which {sn} was collected, is not in the database")]
    NoWorkKey {
        /// The terminal.
        sn: String,
        /// The work certificate, lower-case hex.
        certificate_sha256: String,
    },
    /// The KMS cannot be asked, or its answer did not come.
    #[error("batch not delivered: {}; the batch stays in the database; run mtms dispatch again", told(.0))]
    Kms(station::Error),
    /// What came in place of a receipt.
    #[error("the answer to batch {id} holds no receipt: {why}; nothing of it was believed. Dispatch again")]
    ReceiptMalformed {
        /// The store's number for the batch.
        id: i64,
        /// What is wrong with it.
        why: String,
    },
    /// A good receipt, of something else.
    #[error(
        "the answer to batch {id} is the receipt for another batch ({found}, not {sent}); nothing of it was believed. \
         Dispatch again, and ask the KMS's people if it comes again"
    )]
    ReceiptForAnotherBatch {
        /// The store's number for the batch.
        id: i64,
        /// SHA-256 of what was sent.
        sent: String,
        /// What the receipt names.
        found: String,
    },
    /// The receipt is not about the order or the terminals that were sent.
    #[error("the receipt for batch {id} does not fit it: {why}; nothing of it was believed")]
    ReceiptDoesNotFit {
        /// The store's number for the batch.
        id: i64,
        /// What does not fit.
        why: String,
    },
    /// The receipt's MAC is wrong.
    #[error(
        "the receipt for batch {id} has a wrong MAC: it is not {partner}'s, or MAK differs at the two ends; compare its \
         check values. Nothing of it was believed"
    )]
    ReceiptMac {
        /// The store's number for the batch.
        id: i64,
        /// Whose it should be.
        partner: String,
    },
    /// The card is not for signing batches.
    #[error("card {card} does not sign batches: {why}; make one with `keyferry ca card --role mtms`")]
    CardRole {
        /// Which card.
        card: String,
        /// What it is instead.
        why: String,
    },
    /// Another card than the one that was checked.
    #[error("card {card} is not the one that was checked; insert it again")]
    CardOther {
        /// Which card.
        card: String,
    },
    /// The card was taken out.
    #[error("card {card} was taken out; insert it and dispatch again")]
    CardGone {
        /// Which card.
        card: String,
    },
    /// The card does not open.
    #[error(transparent)]
    Card(station::Error),
    /// The card does not sign.
    #[error("card {card} did not sign: {why}")]
    Signing {
        /// Which card.
        card: String,
        /// What it said.
        why: String,
    },
    /// A batch cannot be written as the format has it.
    #[error("a batch cannot be packed: {0}")]
    Batch(#[from] batch::BatchError),
    /// The number of terminals in a batch is out of its range.
    #[error("a batch has 1 to {most} terminals, not {found}")]
    BatchSize {
        /// What was asked for.
        found: usize,
        /// The most.
        most: usize,
    },
    /// The HSM refuses, or cannot be asked.
    #[error("the HSM: {0}")]
    Hsm(#[from] HsmError),
    /// The database cannot be used.
    #[error("the database: {0}")]
    Store(#[from] StoreError),
    /// A thread of ours ended before it was done.
    #[error("a thread ended early: {0}; dispatch again")]
    Thread(String),
}

/// No `#[from]`: whoever prints an error with what caused it would print the station's own text after all.
impl From<station::Error> for Error {
    fn from(error: station::Error) -> Self {
        Self::Kms(error)
    }
}

/// What became of a batch that is not delivered: the station's texts are about packages and its journal.
fn told(error: &station::Error) -> String {
    match error {
        station::Error::ServerUnreachable { server, why } => format!("no answer from {server}: {why}"),
        station::Error::ServerBusy { status } => format!("the KMS is busy ({status})"),
        other => other.to_string(),
    }
}
