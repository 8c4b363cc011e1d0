use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use batch::{Close, NewOrder, Order as Document};
use clap::{Args, Subcommand};
use serde_json::json;
use station::orders::give_order;
use store::{OrderRecord, OrderSerial, OrderStore as _, SqliteStore, limits};
use wire::{ModelId, Serial};

use super::{
    kms::Estate,
    station::{BothPins, Config, Settings},
};
use crate::{show, time};

/// Production orders: which terminals a vendor makes for which acquirer.
#[derive(Subcommand)]
pub(crate) enum Order {
    /// Enter an order: the operator and the administrator sign it.
    Add(Add),
    /// Close an order: nothing more is taken for it. The operator and the administrator sign that.
    Close(CloseOrder),
    /// List orders.
    List(List),
    /// Show an order and how far it has come.
    Show(Show),
}

/// Enter an order.
#[derive(Args)]
pub(crate) struct Add {
    #[command(flatten)]
    station: Config,
    /// Its name: 1 to 32 of A-Z a-z 0-9 - . _
    order: String,
    /// Who makes the terminals: at an MTMS its own name, at a KMS one of its partners.
    #[arg(long)]
    vendor: String,
    /// Who bought them: at a KMS its own name, at an MTMS one of its partners.
    #[arg(long)]
    buyer: String,
    /// The model that was ordered, as terminals tell it.
    #[arg(long)]
    model: ModelId,
    /// A file of the serials that were ordered, one a line; a KMS may do without, and then takes what the vendor sends.
    #[arg(long, value_name = "FILE")]
    serials: Option<PathBuf>,
    #[command(flatten)]
    pins: BothPins,
}

/// Close an order.
#[derive(Args)]
pub(crate) struct CloseOrder {
    #[command(flatten)]
    station: Config,
    /// Its name.
    order: String,
    #[command(flatten)]
    pins: BothPins,
}

/// List orders.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    estate: Estate,
    /// Start after this order.
    #[arg(long)]
    after: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Show an order.
#[derive(Args)]
pub(crate) struct Show {
    #[command(flatten)]
    estate: Estate,
    /// Its name.
    order: String,
    /// Its serials too, with what became of each.
    #[arg(long)]
    serials: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Order {
    pub(crate) async fn run(self) -> Result<()> {
        match self {
            Self::Add(add) => add.run(),
            Self::Close(close) => close.run(),
            Self::List(list) => list.run().await,
            Self::Show(show) => show.run().await,
        }
    }
}

impl Add {
    fn run(self) -> Result<()> {
        let serials = self.serials.as_deref().map(read_serials).transpose()?;
        let listed = serials.as_ref().map(Vec::len);
        let document = Document::Order(NewOrder {
            version: batch::VERSION,
            order: self.order,
            vendor: self.vendor,
            buyer: self.buyer,
            model: self.model.to_string(),
            serials: serials.map(|serials| serials.iter().map(ToString::to_string).collect()),
        });
        if let Document::Order(new) = &document {
            // The PINs are their yes: what it is said to stands above the question.
            say!("order      {}", new.order);
            say!("vendor     {}", new.vendor);
            say!("buyer      {}", new.buyer);
            say!("model      {}", new.model);
            match listed {
                Some(listed) => say!("terminals  {listed}"),
                None => say!("terminals  any that the vendor's batches have"),
            }
        }
        give(&document, &self.station, &self.pins)
    }
}

impl CloseOrder {
    fn run(self) -> Result<()> {
        let document = Document::Close(Close { version: batch::VERSION, order: self.order });
        say!("order      {}, to be closed", document.name());
        give(&document, &self.station, &self.pins)
    }
}

/// Has both cards sign it, and gives it to the station's server.
fn give(document: &Document, station: &Config, pins: &BothPins) -> Result<()> {
    let content = document.content()?;
    let settings = Settings::read(&station.config)?;
    let (server, checks) = (settings.server()?, settings.checks()?);
    let cards = pins.open(&settings, &checks)?;
    say!("{}", give_order(&content, &server, &cards)?);
    Ok(())
}

/// Serials, one a line; blank lines and those that begin with `#` are skipped. What is wrong is told by its line.
fn read_serials(path: &Path) -> Result<Vec<Serial>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut seen = HashMap::new();
    let mut serials = Vec::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = || format!("{}, line {number}", path.display());
        let serial = Serial::parse(line).map_err(|_| {
            anyhow::anyhow!("{}: {:?} is no serial: 1 to 32 of A-Z a-z 0-9 - . _", at(), show::plain(line))
        })?;
        if let Some(first) = seen.insert(line, number) {
            bail!("{}: {line} stands on line {first} already; each terminal is listed once", at());
        }
        if serials.len() == batch::limits::SERIALS {
            bail!("{}: an order lists at most {} serials; make it two", at(), batch::limits::SERIALS);
        }
        serials.push(serial);
    }
    if serials.is_empty() {
        bail!("{} lists no serial", path.display());
    }
    Ok(serials)
}

impl List {
    async fn run(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let orders = store.orders(self.after.as_deref(), self.limit).await?;
        if self.json {
            say!("{}", serde_json::to_string(&orders.iter().map(as_json).collect::<Vec<_>>())?);
            return Ok(());
        }
        let row = |order: &OrderRecord| {
            vec![
                order.order.clone(),
                order.vendor.clone(),
                order.buyer.clone(),
                order.model.clone(),
                listed(order),
                time::text(order.added_at / 1000),
                state(order),
            ]
        };
        let head = ["order", "vendor", "buyer", "model", "terminals", "entered", "state"];
        show::table(&head, &orders.iter().map(row).collect::<Vec<_>>());
        Ok(())
    }
}

/// How far an order has come.
#[derive(Default)]
struct Progress {
    /// Of the serials listed, those whose TK is here.
    collected: u64,
    /// At an MTMS.
    sent: u64,
    accepted: u64,
    refused: u64,
    /// At a KMS: batches, and terminals in them that were taken.
    received: u64,
    taken: u64,
}

impl Show {
    async fn run(self) -> Result<()> {
        let (config, store) = self.estate.open()?;
        let at_mtms = config.mtms.is_some();
        let Some(order) = store.order(&self.order).await? else {
            bail!("no order {} is known; enter it first", self.order);
        };
        let mut progress = Progress::default();
        if self.serials && !self.json {
            show::table(&["serial", "fingerprint", "batch", "answer"], &[]);
        }
        let mut after = None;
        loop {
            let page = store.order_serials(&self.order, after.as_ref(), limits::PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.sn.clone());
            page.iter().for_each(|serial| progress.count(serial));
            if self.serials {
                self.print(&page, at_mtms)?;
            }
        }
        progress.received(&store, &self.order).await?;
        if self.json {
            let mut told = as_json(&order);
            if at_mtms {
                told["collected"] = json!(progress.collected);
                told["sent"] = json!(progress.sent);
                told["accepted"] = json!(progress.accepted);
                told["refused"] = json!(progress.refused);
            } else {
                told["held"] = json!(order.listed.map(|_| progress.collected));
                told["received_batches"] = json!(progress.received);
                told["received_terminals"] = json!(progress.taken);
            }
            say!("{told}");
            return Ok(());
        }
        say!("order      {}", order.order);
        say!("vendor     {}", order.vendor);
        say!("buyer      {}", order.buyer);
        say!("model      {}", order.model);
        say!("terminals  {}", listed(&order));
        say!("asked      {}", show::plain(&order.asked_by.subject));
        say!("approved   {}, {}", show::plain(&order.approved_by.subject), time::text(order.added_at / 1000));
        say!("state      {}", state(&order));
        if at_mtms {
            say!("collected  {}", progress.collected);
            say!(
                "sent       {}, {} accepted, {} refused",
                progress.sent,
                progress.accepted,
                progress.refused
            );
            return Ok(());
        }
        say!("received   {} batches, {} terminals taken", progress.received, progress.taken);
        if order.listed.is_some() {
            say!("held       {} of those listed", progress.collected);
        }
        Ok(())
    }

    fn print(&self, page: &[OrderSerial], at_mtms: bool) -> Result<()> {
        for serial in page {
            let held = serial.terminal.as_ref().filter(|terminal| terminal.has_tk);
            let (batch, result) = if at_mtms {
                let item = serial.last.as_ref();
                (item.map(|item| item.batch), item.and_then(|item| item.result.as_ref()))
            } else {
                let item = serial.received.as_ref();
                (item.map(|item| item.batch), item.map(|item| &item.result))
            };
            if self.json {
                let line = json!({
                    "sn": serial.sn.as_str(),
                    "fingerprint": held.map(|terminal| &terminal.fingerprint),
                    "batch": batch,
                    "ok": result.map(|result| result.ok),
                    "code": result.map(|result| &result.code),
                });
                say!("{}", serde_json::to_string(&line)?);
                continue;
            }
            let missing = if at_mtms { "not collected" } else { "not here" };
            say!(
                "  {}  {}  {}  {}",
                serial.sn,
                held.map_or(missing, |terminal| terminal.fingerprint.as_str()),
                where_from(batch, held.is_some(), at_mtms),
                result.map_or(String::new(), |result| show::plain(&result.code)),
            );
        }
        Ok(())
    }
}

/// Which batch a terminal of an order was sent in, or at a KMS received in.
fn where_from(batch: Option<i64>, held: bool, at_mtms: bool) -> String {
    match batch {
        Some(batch) if at_mtms => format!("batch {batch}"),
        Some(batch) => format!("received in batch {batch}"),
        None if at_mtms => "in no batch".into(),
        None if held => "of no batch of this order".into(),
        None => "not received".into(),
    }
}

impl Progress {
    fn count(&mut self, serial: &OrderSerial) {
        self.collected += u64::from(serial.terminal.as_ref().is_some_and(|terminal| terminal.has_tk));
        self.sent += u64::from(serial.last.is_some());
        if let Some(result) = serial.last.as_ref().and_then(|item| item.result.as_ref()) {
            self.accepted += u64::from(result.ok);
            self.refused += u64::from(!result.ok);
        }
    }

    async fn received(&mut self, store: &SqliteStore, order: &str) -> Result<()> {
        let mut after = None;
        loop {
            let page = store.received_batches(order, after, limits::PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for batch in &page {
                self.received += 1;
                self.taken += batch.accepted;
            }
        }
    }
}

fn as_json(order: &OrderRecord) -> serde_json::Value {
    json!({
        "order": order.order,
        "vendor": order.vendor,
        "buyer": order.buyer,
        "model": order.model,
        "listed": order.listed,
        "asked_by": order.asked_by.subject,
        "approved_by": order.approved_by.subject,
        "added_at": time::text(order.added_at / 1000),
        "closed_at": order.closed_at.map(|at| time::text(at / 1000)),
    })
}

fn listed(order: &OrderRecord) -> String {
    order.listed.map_or("no list".into(), |listed| listed.to_string())
}

fn state(order: &OrderRecord) -> String {
    order.closed_at.map_or("open".into(), |at| format!("closed {}", time::text(at / 1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kms_received_is_not_said_to_be_in_no_batch() {
        assert_eq!(where_from(Some(7), true, true), "batch 7");
        assert_eq!(where_from(None, true, true), "in no batch");
        assert_eq!(where_from(Some(7), true, false), "received in batch 7");
        assert_eq!(where_from(None, true, false), "of no batch of this order");
        assert_eq!(where_from(None, false, false), "not received");
    }

    fn read(text: &str) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serials");
        fs::write(&path, text).unwrap();
        let serials = read_serials(&path).map_err(|error| error.to_string())?;
        Ok(serials.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn serials_are_read_one_a_line() {
        assert_eq!(
            read("# lot 7\nSN-1\n\n  SN-2 \r\nSN-3"),
            Ok(vec!["SN-1".into(), "SN-2".into(), "SN-3".into()])
        );
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line() {
        let twice = read("SN-1\nSN-2\n#\nSN-1\n").unwrap_err();
        assert!(twice.contains("line 4") && twice.contains("SN-1 stands on line 1"), "{twice}");
        let poor = read("SN-1\nSN 2\n").unwrap_err();
        assert!(poor.contains("line 2") && poor.contains("is no serial"), "{poor}");
        assert!(read("# nothing\n").unwrap_err().contains("lists no serial"));
    }
}
