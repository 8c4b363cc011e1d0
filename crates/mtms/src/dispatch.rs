//! Dispatching an order: what is unanswered first, then the rest, page by page.

use std::{collections::HashSet, sync::Arc, time::Duration};

use hsm::Hsm;
use serde_json::json;
use station::BatchAnswer;
use store::{
    Event, ItemResult, NewBatch, OrderRecord, OrderStore, Store, StoreError, SuiteStore, Undelivered,
};
use tokio::task::JoinHandle;
use wire::{Serial, Suite};

use crate::{
    Error, HeldBack, Mtms, Partner, Progress, RefusedBatch, SigningCard, clock,
    pack::{Packed, Packing},
    receipt::{Checked, Line, Sent, hex},
    refused,
};

/// The most terminals of one batch: a page of the store.
pub const MAX_BATCH: usize = store::limits::PAGE as usize;
/// The code with which a KMS says that a replacement waits there for a second person.
pub(crate) const AWAITS_APPROVAL: &str = "awaits-approval";

/// How an order is dispatched.
#[derive(Debug, Clone, Copy)]
pub struct DispatchSettings {
    /// Terminals in a batch, 1 to [`MAX_BATCH`].
    pub batch_size: usize,
    /// How often a batch is sent to a KMS that is away or busy, before the dispatch stops.
    pub tries: u32,
    /// How long it waits between two.
    pub pause: Duration,
}

impl Default for DispatchSettings {
    fn default() -> Self {
        Self { batch_size: MAX_BATCH, tries: 3, pause: Duration::from_secs(5) }
    }
}

/// What a dispatch did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dispatched {
    /// Batches that the KMS answered for, those of an earlier dispatch included.
    pub batches: u64,
    /// Of these, those that were sent before and not answered.
    pub sent_again: u64,
    /// Terminals that the KMS has now.
    pub accepted: u64,
    /// Terminals whose replacement waits for a second person at the KMS.
    pub awaiting: Vec<Serial>,
    /// Terminals that the KMS refused, each with its code and text.
    pub refused: Vec<RefusedTerminal>,
    /// Batches that the KMS refused as a whole; they wait for the next dispatch.
    pub refused_batches: Vec<RefusedBatch>,
    /// Terminals that are in no batch, and why.
    pub held_back: Vec<HeldBack>,
}

/// A terminal that a KMS refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedTerminal {
    /// The terminal.
    pub sn: String,
    /// The KMS's code.
    pub code: String,
    /// What it says to people. Beside the receipt, under no MAC.
    pub text: String,
}

/// A batch on its way: sent by a thread, while the next is packed.
struct Flying<'a> {
    sent: Sent,
    partner: &'a Partner,
    answer: JoinHandle<Result<BatchAnswer, Error>>,
    /// Whether it was made by an earlier dispatch.
    was_waiting: bool,
}

impl<S: Store + SuiteStore + OrderStore, H: Hsm> Mtms<S, H> {
    /// Hands every TK that was collected for an order, and went nowhere yet, to the KMS of its buyer. May be ended at any
    /// moment and begun again: each TK reaches that KMS once. `buyer` is that acquirer, once for each suite in which keys
    /// were agreed with it. A batch that the KMS refuses as a whole stands in [`Dispatched::refused_batches`], and the rest
    /// goes on, unless the next batch could only be refused alike.
    ///
    /// # Errors
    /// [`Error`]; what the KMS answered before stands.
    pub async fn dispatch(
        &self,
        order: &str,
        buyer: &[Partner],
        card: &SigningCard,
        how: &DispatchSettings,
        progress: &dyn Progress,
    ) -> Result<Dispatched, Error> {
        if !(1..=MAX_BATCH).contains(&how.batch_size) {
            return Err(Error::BatchSize { found: how.batch_size, most: MAX_BATCH });
        }
        let record = self.order_of(order).await?;
        if let Some(other) = buyer.iter().find(|partner| partner.name != record.buyer) {
            let (buyer, partner) = (record.buyer, other.name.clone());
            return Err(Error::OtherBuyer { order: order.to_owned(), buyer, partner });
        }
        progress.started(self.outstanding(order).await?);
        let run = Run { mtms: self, record: &record, buyer, card, how, progress };
        let done = run.all().await;
        progress.finished();
        done
    }
}

impl<S: OrderStore, H> Mtms<S, H> {
    /// An order of this vendor's.
    pub(crate) async fn order_of(&self, order: &str) -> Result<OrderRecord, Error> {
        let record = self.store.order(order).await?;
        let record = record.ok_or_else(|| Error::NoOrder { order: order.to_owned() })?;
        if record.vendor == self.vendor {
            return Ok(record);
        }
        let (vendor, own) = (record.vendor, self.vendor.clone());
        Err(Error::OtherVendor { order: order.to_owned(), vendor, own })
    }
}

/// One dispatch.
struct Run<'a, S, H> {
    mtms: &'a Mtms<S, H>,
    record: &'a OrderRecord,
    buyer: &'a [Partner],
    card: &'a SigningCard,
    how: &'a DispatchSettings,
    progress: &'a dyn Progress,
}

impl<'a, S: Store + SuiteStore + OrderStore, H: Hsm> Run<'a, S, H> {
    async fn all(&self) -> Result<Dispatched, Error> {
        let mut done = Dispatched::default();
        let (mut after, mut go_on) = (None, true);
        loop {
            let page = self.mtms.store.unanswered_batches(self.order(), after, store::limits::PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for record in page {
                let package = self.mtms.store.batch_package(record.id).await?;
                let gone = || Error::PackageDamaged { id: record.id, why: "its bytes are not there".into() };
                let package = package.ok_or_else(gone)?;
                let flying = self.fly(Sent::read(record.id, &package)?, package, true)?;
                let answered = done.batches;
                go_on &= self.settle(flying, &mut done).await?;
                done.sent_again += done.batches - answered;
            }
        }
        if go_on {
            self.rest(&mut done).await?;
        }
        Ok(done)
    }

    /// What was in no batch yet. While one is on its way the next is packed; each is stored before it leaves.
    async fn rest(&self, done: &mut Dispatched) -> Result<(), Error> {
        let waiting = self.mtms.store.replacements_waiting().await?;
        let waiting: HashSet<_> = waiting.into_iter().map(|replacement| replacement.sn).collect();
        let packing = Packing {
            store: self.mtms.store.as_ref(),
            hsm: &self.mtms.hsm,
            owner: &self.mtms.vendor,
            order: self.order(),
            card: self.card,
            waiting: &waiting,
        };
        let mut after: Option<Serial> = None;
        let mut flying: Option<Flying<'_>> = None;
        loop {
            let page = self.page(after.as_ref()).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.terminal.sn.clone());
            for (suite, terminals) in by_suite(page) {
                let Some(partner) = self.agreed_in(suite) else {
                    self.hold_back(terminals.iter().map(|one| self.of_no_suite(one)).collect(), done);
                    continue;
                };
                let packed = packing.pack(partner, &terminals).await;
                // An answer is kept even where the next batch cannot be packed.
                if let Some(flown) = flying.take()
                    && !self.settle(flown, done).await?
                {
                    return Ok(());
                }
                let (packed, held_back) = packed?;
                self.hold_back(held_back, done);
                if let Some(packed) = packed {
                    flying = Some(self.begin(packed).await?);
                }
            }
        }
        match flying {
            Some(flown) => self.settle(flown, done).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// The buyer with the keys of a suite.
    fn agreed_in(&self, suite: Suite) -> Option<&'a Partner> {
        self.buyer.iter().find(|partner| partner.suite == suite)
    }

    fn of_no_suite(&self, one: &Undelivered) -> HeldBack {
        let (suite, buyer) = (one.terminal.suite, &self.record.buyer);
        let why = format!("its TK is of suite {suite}, in which no keys are agreed with {buyer}");
        HeldBack { sn: one.terminal.sn.clone(), why }
    }

    fn hold_back(&self, terminals: Vec<HeldBack>, done: &mut Dispatched) {
        for terminal in &terminals {
            self.progress.line(&format!("{}  HELD BACK: {}", terminal.sn, terminal.why));
        }
        done.held_back.extend(terminals);
    }

    /// The next terminals.
    async fn page(&self, after: Option<&Serial>) -> Result<Vec<Undelivered>, Error> {
        let size = u32::try_from(self.how.batch_size).unwrap_or(store::limits::PAGE);
        let page = self.mtms.store.undelivered(self.order(), after, size).await?;
        if !self.record.is_open() && !page.is_empty() {
            return Err(Error::OrderClosed { order: self.order().to_owned(), left: page.len() });
        }
        Ok(page)
    }

    /// Stores a batch, then lets it leave.
    async fn begin(&self, packed: Packed) -> Result<Flying<'a>, Error> {
        let serials: Vec<_> = packed.items.iter().map(|(sn, _)| sn.as_str()).collect();
        let detail = json!({ "order": self.order(), "buyer": self.record.buyer, "terminals": serials });
        let event = self.event("batch.made", hex(&packed.digest), detail);
        let new = NewBatch {
            order: self.order().to_owned(),
            digest: packed.digest,
            package: packed.package.clone(),
            items: packed.items,
        };
        let id = match self.mtms.store.put_batch(new, event).await {
            Ok(id) => id,
            Err(StoreError::AlreadyThere { .. }) => {
                return Err(Error::Raced { order: self.order().to_owned() });
            }
            Err(error) => return Err(error.into()),
        };
        self.fly(Sent::read(id, &packed.package)?, packed.package, false)
    }

    fn fly(&self, sent: Sent, package: Vec<u8>, was_waiting: bool) -> Result<Flying<'a>, Error> {
        let suite = Suite::new(sent.batch.suite());
        let none = || Error::NoKeys { buyer: self.record.buyer.clone(), suite };
        let partner = self.agreed_in(suite).ok_or_else(none)?;
        Ok(Flying { sent, partner, answer: self.send(partner, package), was_waiting })
    }

    /// Sends in a thread of its own, some times over while the KMS is away or busy.
    fn send(&self, partner: &Partner, package: Vec<u8>) -> JoinHandle<Result<BatchAnswer, Error>> {
        let (kms, how) = (Arc::clone(&partner.kms), *self.how);
        tokio::task::spawn_blocking(move || {
            let mut tries = 1;
            loop {
                match kms.send(&package) {
                    Err(Error::Kms(error)) if tries < how.tries && is_passing(&error) => {
                        tries += 1;
                        std::thread::sleep(how.pause);
                    }
                    done => return done,
                }
            }
        })
    }

    /// Takes a KMS's answer: believed, and kept, only with a good receipt. Says whether further batches may be made.
    async fn settle(&self, flying: Flying<'_>, done: &mut Dispatched) -> Result<bool, Error> {
        let Flying { sent, partner, answer, was_waiting } = flying;
        let mut answer = landed(answer).await?;
        if let BatchAnswer::Refused { code, .. } = &answer
            && refused::is_of_the_card(code)
            && !self.card.is(&sent.signed_by)
        {
            // Its card is good for nothing any more. The same content under the present one is the same batch: a KMS takes
            // it once, whoever signed it.
            let detail = json!({ "order": self.order(), "buyer": self.record.buyer, "because": code });
            let event = self.event("batch.signed-anew", sent.digest.clone(), detail);
            self.mtms.store.audit_append(event).await?;
            answer = landed(self.send(partner, self.card.sign(&sent.content)?)).await?;
        }
        let body = match answer {
            BatchAnswer::Taken(body) | BatchAnswer::Before(body) => body,
            BatchAnswer::Refused { code, text, status } => {
                let refused = RefusedBatch {
                    id: sent.id,
                    digest: sent.digest,
                    partner: partner.name.clone(),
                    terminals: sent.batch.terminals.len(),
                    code: refused::code(&code),
                    text: refused::text(&text),
                };
                let go_on = !refused.ends_packing(was_waiting);
                self.refused(refused, status, done).await?;
                return Ok(go_on);
            }
        };
        let checked = match sent.check(&body, &self.mtms.hsm, partner, &self.mtms.vendor).await {
            Ok(checked) => checked,
            Err(error) => {
                let detail = json!({ "order": self.order(), "buyer": self.record.buyer,
                                     "reason": error.to_string() });
                let event = self.event("batch.receipt-refused", sent.digest.clone(), detail);
                self.mtms.store.audit_append(event).await?;
                return Err(error);
            }
        };
        self.keep(&sent, checked, done).await?;
        Ok(true)
    }

    /// Nothing of it is stored there: it stays, and is not in the way of the others.
    async fn refused(&self, refused: RefusedBatch, status: u16, done: &mut Dispatched) -> Result<(), Error> {
        let detail = json!({ "order": self.order(), "buyer": self.record.buyer, "status": status,
                             "code": refused.code, "text": refused.text });
        self.mtms.store.audit_append(self.event("batch.refused", refused.digest.clone(), detail)).await?;
        self.progress.line(&refused.told());
        done.refused_batches.push(refused);
        Ok(())
    }

    async fn keep(&self, sent: &Sent, checked: Checked, done: &mut Dispatched) -> Result<(), Error> {
        let Checked { receipt, lines } = checked;
        let accepted = lines.iter().filter(|line| line.ok).count();
        let detail = json!({ "order": self.order(), "buyer": self.record.buyer, "accepted": accepted,
                             "refused": lines.len() - accepted, "received_at": receipt.received_at });
        let event = self.event("batch.answered", sent.digest.clone(), detail);
        let results = lines.iter().zip(&sent.batch.terminals).map(|(line, entry)| {
            let (sn, code, text) = (line.sn.clone(), line.code.clone(), line.text.clone());
            ItemResult { sn, ok: line.ok, code, text, fingerprint: entry.fingerprint.clone() }
        });
        let results = results.collect();
        let receipt = batch::canonical(&receipt).map_err(batch::BatchError::from)?;
        self.mtms.store.answer_batch(sent.id, receipt, results, event).await?;
        done.batches += 1;
        self.progress.answered(lines.len() as u64);
        for line in lines {
            self.count(line, done);
        }
        Ok(())
    }

    fn count(&self, line: Line, done: &mut Dispatched) {
        if !line.ok {
            let said = match line.text.as_str() {
                "" => String::new(),
                text => format!("; the KMS says (not under its MAC): {text}"),
            };
            self.progress.line(&format!("{}  REFUSED by the KMS ({}){said}", line.sn, line.code));
            done.refused.push(RefusedTerminal { sn: line.sn, code: line.code, text: line.text });
        } else if line.code == AWAITS_APPROVAL {
            done.awaiting.extend(Serial::parse(&line.sn).ok());
        } else {
            done.accepted += 1;
        }
    }

    fn order(&self) -> &str {
        &self.record.order
    }

    fn event(&self, kind: &'static str, subject: String, detail: serde_json::Value) -> Event {
        Event::new(clock::now_ms(), kind, self.card.subject(), subject, detail)
    }
}

/// The answer to a batch that was sent by a thread.
async fn landed(answer: JoinHandle<Result<BatchAnswer, Error>>) -> Result<BatchAnswer, Error> {
    answer.await.map_err(|error| Error::Thread(error.to_string()))?
}

/// A page cut by the suite of the TKs: a batch is of one.
fn by_suite(page: Vec<Undelivered>) -> Vec<(Suite, Vec<Undelivered>)> {
    let mut cut: Vec<(Suite, Vec<Undelivered>)> = Vec::new();
    for one in page {
        let suite = one.terminal.suite;
        match cut.iter_mut().find(|(of, _)| *of == suite) {
            Some((_, terminals)) => terminals.push(one),
            None => cut.push((suite, vec![one])),
        }
    }
    cut
}

/// Whether the KMS may be there again in a moment.
fn is_passing(error: &station::Error) -> bool {
    matches!(error, station::Error::ServerUnreachable { .. } | station::Error::ServerBusy { .. })
}
