//! Batches of transport keys from a vendor's MTMS (2-wire.md section 6). A batch is taken once, or refused as a whole by
//! name with nothing stored; of one that is taken, one bad terminal does not spoil the others.
//!
//! What is checked, in this order: the signature and the card (role .6, not revoked); whether the same content came
//! before, which is answered with its receipt to a card of that vendor's; the form; the order; whether the card is its
//! vendor's; the MAC, in the HSM, and with it whose batch it is; serials that stand twice. Only then is an entry opened.

use std::{collections::HashSet, net::IpAddr};

use batch::{Batch, Outcome, Receipt};
use futures_util::{StreamExt, TryStreamExt, stream};
use hsm::{
    Hsm, HsmError, Refusal as HsmRefusal,
    commands::{BatchText, CheckBatchMac, MacBatch},
};
use pki::Role;
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{BatchImport, BatchOutcome, ItemResult, OrderRecord, ReceivedBatch, Store};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::Semaphore;
use wire::{Serial, Suite};

use self::entries::Listing;
use super::{
    Failure, Kms, event,
    package::{Authentic, UploadRefusal, hex},
};
use crate::{partners::Partner, rks::reports::unix_ms};

mod entries;

/// What these uploads are called in the audit.
const WHAT: &str = "batch";
/// Entries opened in the HSM at once for one batch.
const OPENED_AT_ONCE: usize = 16;
/// Entries that are made ready to be opened at once.
const READ_AHEAD: usize = 512;
/// Batches read at once: a large one takes several times its size in memory.
const READ_AT_ONCE: usize = 2;

/// Partners, and a gate before the memory that batches take.
pub(crate) struct Exchange {
    partners: Vec<Partner>,
    gate: Semaphore,
}

impl Exchange {
    pub(crate) fn new(partners: Vec<Partner>) -> Self {
        Self { partners, gate: Semaphore::new(READ_AT_ONCE) }
    }

    /// Whether anything was agreed with this partner.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.partners.iter().any(|partner| partner.name == name)
    }

    /// What was agreed with this partner in this suite.
    fn with(&self, name: &str, suite: Suite) -> Option<&Partner> {
        self.partners.iter().find(|partner| partner.name == name && partner.suite == suite)
    }
}

/// Why a batch is refused as a whole; nothing of it is stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchRefusal {
    #[error("{0}")]
    Upload(#[from] UploadRefusal),
    #[error("the order is not one that this batch may be for: {0}")]
    WrongOrder(String),
    #[error("the MAC is wrong: {0}")]
    WrongMac(String),
    #[error("the batch would be {0}'s, and the card that signed it is none of that vendor's root")]
    OthersCard(String),
    #[error("serial {0:?} stands twice in the batch")]
    SerialTwice(String),
    #[error("this batch was received before; its receipt is with this answer")]
    Received(Box<Receipt>),
}

impl BatchRefusal {
    /// A code for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Upload(refusal) => refusal.code(),
            Self::WrongOrder(_) => "wrong-order",
            Self::WrongMac(_) => "wrong-mac",
            Self::OthersCard(_) => "card-refused",
            Self::SerialTwice(_) => "serial-twice",
            Self::Received(_) => "received-before",
        }
    }

    fn is_failure(&self) -> bool {
        matches!(self, Self::Upload(refusal) if refusal.is_failure())
    }
}

impl From<Failure> for BatchRefusal {
    fn from(failure: Failure) -> Self {
        Self::Upload(failure.into())
    }
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Takes a vendor's batch and answers for each terminal, in order, with a receipt.
    pub(crate) async fn take_batch(
        &self,
        package: &[u8],
        source: IpAddr,
    ) -> Result<batch::Answer, BatchRefusal> {
        let signed = self.authenticate(WHAT, package, Role::Mtms, source)?;
        // Never closed; whoever waits here is known by his card.
        let _place = self.exchange.gate.acquire().await;
        let taken = self.take_signed_batch(package, &signed).await;
        if let Err(refusal) = &taken
            && !refusal.is_failure()
        {
            let why = (refusal.code(), refusal.to_string());
            self.audit_refused("batch.refused", &signed, signed.digest_hex(), why).await?;
        }
        taken
    }

    async fn take_signed_batch(
        &self,
        package: &[u8],
        signed: &Authentic,
    ) -> Result<batch::Answer, BatchRefusal> {
        let content_digest: [u8; 32] = Sha256::digest(signed.content()).into();
        let batch::Read { batch, covered } =
            Batch::read(signed.content()).map_err(|error| UploadRefusal::Content(error.to_string()))?;
        if let Some(before) = self.store.received_batch(content_digest).await.map_err(Failure::from)? {
            return Err(self.batch_received(&before, Suite::new(batch.suite()), signed).await?);
        }
        let Some(collected_at) = unix_ms(&batch.collected_at) else {
            return Err(UploadRefusal::Content("collected_at is no RFC 3339 time".into()).into());
        };
        let order = self.order_of_batch(&batch).await?;
        let partner = self.check_batch_mac(&batch, &order, covered, signed).await?;
        let mut seen = HashSet::with_capacity(batch.terminals.len());
        if let Some(twice) = batch.terminals.iter().find(|entry| !seen.insert(entry.sn.as_str())) {
            return Err(BatchRefusal::SerialTwice(twice.sn.chars().take(64).collect()));
        }
        drop(seen);

        let listing = self.listing(&batch, &order).await?;
        let mut entries = Vec::with_capacity(batch.terminals.len());
        // Some at a time: each waits with all that it was asked.
        for some in batch.terminals.chunks(READ_AHEAD) {
            let opening: Vec<_> =
                some.iter().map(|entry| self.open_entry(entry, partner, &listing)).collect();
            let opened: Vec<_> = stream::iter(opening).buffered(OPENED_AT_ONCE).try_collect().await?;
            entries.extend(opened);
        }
        let detail = json!({
            "order": order.order,
            "partner": partner.name,
            "suite": partner.suite.byte(),
            "card": signed.signer.certificate_serial,
            "terminals": entries.len(),
        });
        let received = event("batch.received", signed.signer.subject.as_str(), hex(&content_digest), detail);
        let import = BatchImport {
            digest: signed.digest,
            content_digest,
            package: package.to_vec(),
            signer: signed.signer.clone(),
            acquirer: self.acquirer.id.clone(),
            partner: partner.name.clone(),
            order: order.order.clone(),
            collected_at,
            entries,
        };
        match self.store.import_batch(import, received).await.map_err(Failure::from)? {
            BatchOutcome::Stored(stored) => self.batch_answer(stored, partner).await,
            BatchOutcome::Duplicate(before) => {
                Err(self.batch_received(&before, partner.suite, signed).await?)
            }
            BatchOutcome::WrongOrder => {
                Err(BatchRefusal::WrongOrder(format!("order {} was closed meanwhile", order.order)))
            }
        }
    }

    /// The order that a batch is for: open, for this acquirer, of a partner.
    async fn order_of_batch(&self, batch: &Batch) -> Result<OrderRecord, BatchRefusal> {
        let wrong = |why: String| Err(BatchRefusal::WrongOrder(why));
        if self.is_mtms() {
            return wrong("this is an MTMS, which takes no batches".into());
        }
        let Some(order) = self.store.order(&batch.order).await.map_err(Failure::from)? else {
            return wrong(format!("no order {} was entered here", batch.order));
        };
        if !order.is_open() {
            return wrong(format!("order {} is closed", order.order));
        }
        if order.buyer != self.acquirer.id {
            return wrong(format!("order {} was bought by {}", order.order, order.buyer));
        }
        Ok(order)
    }

    /// Whose batch it is: that of the order's vendor, by the card and the MAC. No MAC is tried with the key of a vendor
    /// whose card it cannot be: else a card would learn of others' MACs.
    async fn check_batch_mac(
        &self,
        batch: &Batch,
        order: &OrderRecord,
        covered: Vec<u8>,
        signed: &Authentic,
    ) -> Result<&Partner, BatchRefusal> {
        let suite = Suite::new(batch.suite());
        let vendor = self.exchange.with(&order.vendor, suite);
        if let Some(vendor) = vendor {
            of_its_root(vendor, signed)?;
        }
        let mac = from_hex(&batch.mac);
        let fits = async |partner: &Partner, text: Vec<u8>| {
            let command = CheckBatchMac {
                mak: partner.mak.clone(),
                partner: partner.name.clone(),
                owner: self.acquirer.id.clone(),
                what: BatchText::Batch,
                text,
                mac: mac.clone(),
            };
            match self.hsm.call(command).await {
                Ok(()) => Ok(true),
                Err(HsmError::Refused(HsmRefusal::BatchMac)) => Ok(false),
                Err(failed) => Err(Failure::from(failed)),
            }
        };
        if let Some(partner) = vendor
            && fits(partner, covered.clone()).await?
        {
            return Ok(partner);
        }
        // A good batch of another vendor is for the wrong order; anything else is nobody's.
        let may_be = |partner: &&Partner| partner.suite == suite && of_its_root(partner, signed).is_ok();
        for partner in self.exchange.partners.iter().filter(may_be) {
            if partner.name != order.vendor && fits(partner, covered.clone()).await? {
                let text =
                    format!("order {} is {}'s, and the batch {}'s", order.order, order.vendor, partner.name);
                return Err(BatchRefusal::WrongOrder(text));
            }
        }
        Err(BatchRefusal::WrongMac(match vendor {
            Some(_) => {
                "the batch was changed, or it is under another key than was agreed; compare check values"
                    .into()
            }
            None => format!("no batch MAC key of suite {suite} was agreed with {}", order.vendor),
        }))
    }

    /// What the order says of the terminals in a batch.
    async fn listing(&self, batch: &Batch, order: &OrderRecord) -> Result<Listing, Failure> {
        if order.listed.is_none() {
            return Ok(Listing { model: order.model.clone(), listed: None });
        }
        let serials: Vec<Serial> =
            batch.terminals.iter().filter_map(|entry| Serial::parse(&entry.sn).ok()).collect();
        let listed = self.store.listed_in(&order.order, serials).await?;
        Ok(Listing { model: order.model.clone(), listed: Some(listed.into_iter().collect()) })
    }

    async fn batch_answer(
        &self,
        stored: ReceivedBatch,
        partner: &Partner,
    ) -> Result<batch::Answer, BatchRefusal> {
        let receipt = self.batch_receipt(&stored, partner).await?;
        let results = stored.results.into_iter().map(|result| Outcome {
            sn: result.sn,
            ok: result.ok,
            code: result.code,
            text: result.text,
            fingerprint: result.fingerprint,
        });
        Ok(batch::Answer { results: results.collect(), receipt })
    }

    /// What is said to a batch that came before: its receipt, to a card that may sign for its partner.
    async fn batch_received(
        &self,
        before: &ReceivedBatch,
        suite: Suite,
        signed: &Authentic,
    ) -> Result<BatchRefusal, BatchRefusal> {
        let gone = || Failure::NoPartner(before.partner.clone());
        let partner = self.exchange.with(&before.partner, suite).ok_or_else(gone)?;
        of_its_root(partner, signed)?;
        Ok(BatchRefusal::Received(Box::new(self.batch_receipt(before, partner).await?)))
    }

    /// The receipt of a batch: made of what the store keeps, so that it is always the same.
    async fn batch_receipt(&self, batch: &ReceivedBatch, partner: &Partner) -> Result<Receipt, BatchRefusal> {
        let mut receipt = Receipt {
            version: batch::VERSION,
            order: batch.order.clone(),
            batch: hex(&batch.content_digest),
            received_at: rfc3339(batch.received_at),
            results: batch.results.iter().map(line).collect(),
            mac: String::new(),
        };
        let command = MacBatch {
            mak: partner.mak.clone(),
            partner: partner.name.clone(),
            owner: self.acquirer.id.clone(),
            what: BatchText::Receipt,
            text: receipt.covered().map_err(|error| UploadRefusal::Content(error.to_string()))?,
        };
        let mac = self.hsm.call(command).await.map_err(Failure::from)?;
        receipt.mac = hex(&mac).to_ascii_uppercase();
        Ok(receipt)
    }
}

/// Whether the signer's card may be this partner's: it is under the partner's root, or that is not known.
fn of_its_root(partner: &Partner, signed: &Authentic) -> Result<(), BatchRefusal> {
    match &partner.root_sha256 {
        Some(root) if *root != signed.root_sha256 => Err(BatchRefusal::OthersCard(partner.name.clone())),
        _ => Ok(()),
    }
}

/// One line of a receipt.
fn line(result: &ItemResult) -> Outcome {
    Outcome {
        sn: result.sn.clone(),
        ok: result.ok,
        code: result.code.clone(),
        text: String::new(),
        fingerprint: None,
    }
}

/// Hex digits whose form was checked when the batch was read.
fn from_hex(text: &str) -> Vec<u8> {
    let digit =
        |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    text.as_bytes().chunks(2).map(|pair| pair.iter().fold(0, |byte, half| byte << 4 | digit(*half))).collect()
}

fn rfc3339(unix_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}
