//! How far an order has come: what is listed, missing, collected, sent, accepted, refused, waiting.

use std::collections::BTreeMap;

use serde::Serialize;
use store::{BatchItem, OrderRecord, OrderSerial, OrderStore, Store};
use wire::Serial;

use crate::{Error, Mtms, dispatch::AWAITS_APPROVAL};

/// The reconciliation of an order: every listed serial stands in exactly one of `missing`, `to_send`, `unanswered`,
/// `accepted`, `awaiting_approval` and `refused`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The order's name.
    pub order: String,
    /// Who makes the terminals.
    pub vendor: String,
    /// Who bought them.
    pub buyer: String,
    /// Which model.
    pub model: String,
    /// Whether it still takes terminals.
    pub open: bool,
    /// Serials that it lists.
    pub listed: u64,
    /// Listed, and not collected: by name.
    pub missing: Vec<String>,
    /// Listed and collected.
    pub collected: u64,
    /// Collected, and in no batch yet.
    pub to_send: u64,
    /// In a batch, whether it was answered or not.
    pub sent: u64,
    /// In a batch that no receipt came for.
    pub unanswered: u64,
    /// The KMS has its TK.
    pub accepted: u64,
    /// The KMS has a replacement that waits there for a second person, by the receipt; by name.
    pub awaiting_approval: Vec<String>,
    /// The KMS refused it.
    pub refused: Vec<RefusedItem>,
    /// Collected anew, which a second person must approve here first; by name. It counts above as it was before.
    pub replacement_waiting: Vec<String>,
}

/// A terminal that the KMS refused.
#[derive(Debug, Clone, Serialize)]
pub struct RefusedItem {
    /// The serial.
    pub sn: String,
    /// The KMS's code.
    pub code: String,
    /// What it says to people: of a KMS's text, beside the receipt and under no MAC.
    pub text: String,
}

impl<S: Store + OrderStore, H> Mtms<S, H> {
    /// Reconciles an order, page by page.
    ///
    /// # Errors
    /// [`Error::NoOrder`], [`Error::OtherVendor`], [`Error::Store`].
    pub async fn report(&self, order: &str) -> Result<Report, Error> {
        let mut report = Report::of(self.order_of(order).await?);
        self.each_serial(order, |serial| report.count(serial)).await?;
        let waiting = self.store.replacements_waiting().await?;
        let waiting: Vec<_> = waiting.into_iter().map(|replacement| replacement.sn).collect();
        for some in waiting.chunks(store::limits::PAGE as usize) {
            let listed = self.store.listed_in(order, some.to_vec()).await?;
            report.replacement_waiting.extend(listed.iter().map(ToString::to_string));
        }
        Ok(report)
    }

    /// Terminals that a dispatch has to do with: collected, and not answered for.
    pub(crate) async fn outstanding(&self, order: &str) -> Result<u64, Error> {
        let mut count = 0;
        self.each_serial(order, |serial| {
            count += u64::from(matches!(Stage::of(serial), Stage::ToSend | Stage::Unanswered));
        })
        .await?;
        Ok(count)
    }

    async fn each_serial(&self, order: &str, mut visit: impl FnMut(&OrderSerial)) -> Result<(), Error> {
        let mut after: Option<Serial> = None;
        loop {
            let page = self.store.order_serials(order, after.as_ref(), store::limits::PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.sn.clone());
            page.iter().for_each(&mut visit);
        }
    }
}

/// Where a listed serial is.
enum Stage {
    Missing,
    ToSend,
    Unanswered,
    Answered(store::ItemResult),
    /// Its TK went to somebody else before: it is never sent again.
    Elsewhere,
}

impl Stage {
    fn of(serial: &OrderSerial) -> Self {
        let Some(terminal) = serial.terminal.as_ref().filter(|terminal| terminal.has_tk) else {
            return Self::Missing;
        };
        if !terminal.sent {
            return Self::ToSend;
        }
        match &serial.last {
            Some(BatchItem { result: Some(result), .. }) => Self::Answered(result.clone()),
            Some(_) => Self::Unanswered,
            None => Self::Elsewhere,
        }
    }
}

impl Report {
    fn of(record: OrderRecord) -> Self {
        Self {
            open: record.is_open(),
            order: record.order,
            vendor: record.vendor,
            buyer: record.buyer,
            model: record.model,
            listed: 0,
            missing: Vec::new(),
            collected: 0,
            to_send: 0,
            sent: 0,
            unanswered: 0,
            accepted: 0,
            awaiting_approval: Vec::new(),
            refused: Vec::new(),
            replacement_waiting: Vec::new(),
        }
    }

    /// Whether nothing is left to be done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.listed > 0 && self.accepted == self.listed && self.replacement_waiting.is_empty()
    }

    /// How many terminals were refused for each reason, most first.
    #[must_use]
    pub fn reasons(&self) -> Vec<(String, u64)> {
        let mut counts = BTreeMap::<&str, u64>::new();
        for refused in &self.refused {
            *counts.entry(&refused.code).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().map(|(code, count)| (code.to_owned(), count)).collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }

    fn count(&mut self, serial: &OrderSerial) {
        self.listed += 1;
        let stage = Stage::of(serial);
        let sn = serial.sn.to_string();
        match stage {
            Stage::Missing => return self.missing.push(sn),
            Stage::ToSend => self.to_send += 1,
            Stage::Unanswered => self.unanswered += 1,
            Stage::Answered(result) if !result.ok => {
                self.refused.push(RefusedItem { sn, code: result.code, text: result.text });
            }
            Stage::Answered(result) if result.code == AWAITS_APPROVAL => self.awaiting_approval.push(sn),
            Stage::Answered(_) => self.accepted += 1,
            Stage::Elsewhere => self.refused.push(RefusedItem {
                sn,
                code: SENT_BEFORE.into(),
                text: "its TK went out with another order; collect it anew".into(),
            }),
        }
        self.collected += 1;
        self.sent = self.collected - self.to_send;
    }
}

/// Our own code of a terminal whose TK went to a KMS before: a resold one is collected anew.
pub const SENT_BEFORE: &str = "sent-before";
