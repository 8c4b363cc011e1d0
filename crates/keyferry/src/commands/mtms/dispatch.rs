use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result};
use clap::Args;
use hsm::Client;
use mtms::{Bar, DispatchSettings, Dispatched, MAX_BATCH, Mtms, Progress, Quiet, SigningCard};
use pki::Role;
use serde_json::json;
use server::Config;
use station::CardSource;
use store::{OrderStore as _, SqliteStore};

use super::{
    super::kms::{Estate, connect_hsm},
    partner,
};
use crate::{secret::Source, show};

/// Hand what was collected for an order to its buyer's KMS. Ended at any moment, and begun again, it gives each TK once.
#[derive(Args)]
pub(crate) struct Dispatch {
    #[command(flatten)]
    estate: Estate,
    /// The order.
    order: String,
    /// The card that signs batches: a file, or a pkcs11: URI.
    #[arg(long, value_name = "CARD")]
    card: CardSource,
    /// Read the card's PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    card_pin_file: Option<PathBuf>,
    /// Terminals in a batch at most.
    #[arg(long, default_value_t = MAX_BATCH)]
    batch_size: usize,
    /// How often a batch is sent to a KMS that is away or busy before the dispatch ends.
    #[arg(long, default_value_t = DispatchSettings::default().tries)]
    tries: u32,
    /// The HSM reads its passphrase from this file, where no HSM is running.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Dispatch {
    pub(super) async fn run(self) -> Result<ExitCode> {
        let (config, store) = self.estate.open()?;
        let order = store.order(&self.order).await?;
        let order = order.with_context(|| format!("there is no order {}", self.order))?;
        let buyer = partner::of_buyer(&config, &order.buyer)?;
        let card = self.card(&config)?;
        let (_child, hsm) = connect_hsm(&config, self.passphrase_file.as_ref()).await?;
        let settings = DispatchSettings {
            batch_size: self.batch_size,
            tries: self.tries,
            ..DispatchSettings::default()
        };
        let mtms = mtms_of(&config, store, hsm);
        let bar: &dyn Progress = if self.json { &Quiet } else { &Bar::new() };
        let done = mtms.dispatch(&self.order, &buyer, &card, &settings, bar).await?;
        let report = mtms.report(&self.order).await?;
        if self.json {
            say!("{}", document(&done, &serde_json::to_value(&report)?));
        } else {
            summary(&done);
            super::report::print(&report);
        }
        let good = done.refused.is_empty() && done.refused_batches.is_empty() && done.held_back.is_empty();
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The card, whose PIN is asked for only when a KMS could believe it.
    fn card(&self, config: &Config) -> Result<SigningCard> {
        let card = self.card.insert()?;
        let verified = server::check_chain(config, card.certificate(), card.chain(), Role::Mtms)?;
        let pin = Source::file(self.card_pin_file.clone()).read("PIN of the card that signs batches")?;
        Ok(SigningCard::open(card, &pin, &verified)?)
    }
}

/// The MTMS of a configuration.
pub(super) fn mtms_of(config: &Config, store: SqliteStore, hsm: Client) -> Mtms<SqliteStore, Client> {
    Mtms::new(Arc::new(store), hsm, config.acquirer.id.clone())
}

fn summary(done: &Dispatched) {
    let Dispatched { batches, sent_again, accepted, awaiting, refused, refused_batches, held_back } = done;
    say!("{batches} batches answered, {sent_again} of them sent again; {accepted} terminals accepted");
    if !awaiting.is_empty() {
        say!("{} replacements wait for a second person at the KMS", awaiting.len());
    }
    if !refused.is_empty() {
        say!("{} terminals REFUSED by the KMS", refused.len());
    }
    if !refused_batches.is_empty() {
        say!(
            "{} batches REFUSED by the KMS as a whole; they count below as not answered:",
            refused_batches.len()
        );
        let row = |one: &mtms::RefusedBatch| {
            vec![one.id.to_string(), one.terminals.to_string(), one.code.clone(), one.text.clone()]
        };
        let rows: Vec<_> = refused_batches.iter().map(row).collect();
        show::table(&["batch", "terminals", "refused", "the KMS says (not under its MAC)"], &rows);
    }
    let row = |held: &mtms::HeldBack| vec![held.sn.to_string(), held.why.clone()];
    if !held_back.is_empty() {
        say!("{} terminals held back:", held_back.len());
        show::table(&["serial", "why"], &held_back.iter().map(row).collect::<Vec<_>>());
    }
}

fn document(done: &Dispatched, report: &serde_json::Value) -> serde_json::Value {
    json!({
        "batches": done.batches,
        "sent_again": done.sent_again,
        "accepted": done.accepted,
        "awaiting_approval": done.awaiting.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "refused": done.refused.iter().map(|refused| {
            json!({ "sn": refused.sn, "code": refused.code, "text": refused.text })
        }).collect::<Vec<_>>(),
        "refused_batches": done.refused_batches.iter().map(|one| {
            json!({ "id": one.id, "sha256": one.digest, "terminals": one.terminals, "code": one.code, "text": one.text })
        }).collect::<Vec<_>>(),
        "held_back": done.held_back.iter().map(|held| {
            json!({ "sn": held.sn.as_str(), "why": held.why })
        }).collect::<Vec<_>>(),
        "report": report,
    })
}
