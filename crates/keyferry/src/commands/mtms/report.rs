use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use mtms::{Mtms, RefusedItem, Report, SENT_BEFORE};
use store::{OrderStore as _, SerialHistory, SqliteStore};

use super::super::kms::Estate;
use crate::{show, time};

/// Reconcile an order: listed, missing, collected, sent, accepted, refused and why, waiting for approval.
#[derive(Args)]
pub(crate) struct ReportOf {
    #[command(flatten)]
    estate: Estate,
    /// The order.
    order: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Show what a serial went through: orders, collections, replacements, batches.
#[derive(Args)]
pub(crate) struct History {
    #[command(flatten)]
    estate: Estate,
    /// The serial.
    sn: wire::Serial,
}

/// Names printed before "and so many more"; --json has them all.
const NAMES_SHOWN: usize = 100;

impl ReportOf {
    pub(super) async fn run(self) -> Result<()> {
        let (config, store) = self.estate.open()?;
        // Nothing here asks the HSM.
        let mtms: Mtms<SqliteStore, ()> = Mtms::new(Arc::new(store), (), config.acquirer.id.clone());
        let report = mtms.report(&self.order).await?;
        if self.json {
            say!("{}", serde_json::to_string(&report)?);
        } else {
            print(&report);
        }
        Ok(())
    }
}

/// The report as people read it.
pub(super) fn print(report: &Report) {
    let Report { order, vendor, buyer, model, .. } = report;
    say!("order {order}: {model} of {vendor} for {buyer}, {}", if report.open { "open" } else { "closed" });
    let rows = [
        ("listed", report.listed),
        ("  missing", report.missing.len() as u64),
        ("  collected", report.collected),
        ("    not sent yet", report.to_send),
        ("    sent", report.sent),
        ("      not answered yet", report.unanswered),
        ("      accepted", report.accepted),
        ("      waiting for approval at the KMS", report.awaiting_approval.len() as u64),
        ("      refused", report.refused.len() as u64),
        ("collected anew, waiting for approval here", report.replacement_waiting.len() as u64),
    ];
    let rows: Vec<_> = rows.iter().map(|(what, count)| vec![(*what).to_owned(), count.to_string()]).collect();
    show::table(&["", ""], &rows);
    names("missing", &report.missing);
    names("waiting for approval at the KMS", &report.awaiting_approval);
    names("waiting for approval here", &report.replacement_waiting);
    if !report.refused.is_empty() {
        for (code, count) in report.reasons() {
            say!("refused {code}: {count}");
        }
        let shown = report.refused.iter().take(NAMES_SHOWN);
        let rows: Vec<_> = shown.map(|one| vec![one.sn.clone(), one.code.clone(), why(one)]).collect();
        show::table(&["serial", "refused", "why"], &rows);
        more(report.refused.len());
    }
}

/// A KMS's text stands beside its receipt: what MAK vouches for is the code.
fn why(one: &RefusedItem) -> String {
    if one.code == SENT_BEFORE || one.text.is_empty() {
        return one.text.clone();
    }
    format!("the KMS says (not under its MAC): {}", one.text)
}

fn names(what: &str, serials: &[String]) {
    if serials.is_empty() {
        return;
    }
    say!("{what}:");
    serials.iter().take(NAMES_SHOWN).for_each(|sn| say!("  {}", show::plain(sn)));
    more(serials.len());
}

fn more(count: usize) {
    if count > NAMES_SHOWN {
        say!("  … and {} more; --json has them all", count - NAMES_SHOWN);
    }
}

impl History {
    pub(super) async fn run(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let history = store.serial_history(&self.sn).await?;
        say!("serial {}", history.sn);
        let orders = if history.orders.is_empty() { "none".into() } else { history.orders.join(", ") };
        say!("orders that list it: {orders}");
        let mut rows = lines(&history);
        rows.sort_by_key(|(at, _)| *at);
        let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
        if rows.is_empty() {
            say!("nothing was collected or sent of it");
        } else {
            show::table(&["when", "what", "which", "who", "how it ended"], &rows);
        }
        Ok(())
    }
}

/// Everything as lines, each with its time.
fn lines(history: &SerialHistory) -> Vec<(i64, Vec<String>)> {
    let when = |at: i64| time::text(at / 1000);
    let collected = history.collections.iter().map(|one| {
        let state = match one.until {
            Some(until) => format!("{} {}", one.state, when(until)),
            None => one.state.clone(),
        };
        let row = vec![
            when(one.uploaded_at),
            "collected".into(),
            one.fingerprint.clone(),
            format!("{} at {}", one.signer.subject, one.station),
            state,
        ];
        (one.uploaded_at, row)
    });
    let sent = history.sent.iter().map(|one| {
        let result = match &one.item.result {
            Some(result) => result.code.clone(),
            None => "not answered yet".into(),
        };
        let which = format!("batch {} of order {}", one.item.batch, one.order);
        let row = vec![when(one.item.created_at), "sent".into(), which, one.buyer.clone(), result];
        (one.item.created_at, row)
    });
    let received = history.received.iter().map(|one| {
        let which = format!("batch {} of order {}", one.batch, one.order);
        let result = one.result.code.clone();
        (one.received_at, vec![when(one.received_at), "received".into(), which, one.partner.clone(), result])
    });
    collected.chain(sent).chain(received).collect()
}
