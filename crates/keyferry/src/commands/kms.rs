use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use hsm::Client;
use server::Config;
use station::diagnosis::Hop;
use store::{DeviceStore as _, RefusalEntry, SlotRecord, SqliteStore, Store as _, TerminalRecord, TkRecord};

use super::{
    evidence::OfServer,
    import::Import,
    order::Order,
    server::open_store,
    suites::Suites,
    work_key::{Of, WorkKeyInstall, WorkKeyRequest},
};
use crate::{hsm_child::HsmChild, secret::Source, show, time};

/// The key management system's records and work keys.
#[derive(Subcommand)]
pub(crate) enum Kms {
    /// How many terminals and keys there are.
    Overview(Estate),
    /// List terminals.
    Terminals(Terminals),
    /// Show one terminal with its slots.
    Terminal(OneTerminal),
    /// Show why terminals refused to make or release a key, as they told it.
    Refusals(Refusals),
    Suites(Suites),
    Import(Import),
    WorkKeyRequest(WorkKeyRequest),
    WorkKeyInstall(WorkKeyInstall),
    /// Production orders of vendors' terminals: what batches are taken for.
    #[command(subcommand)]
    Order(Order),
    Evidence(OfServer),
}

/// Which estate.
#[derive(Args)]
pub(crate) struct Estate {
    /// The configuration file that `keyferry init` wrote.
    #[arg(long, default_value = "keyferry.toml")]
    pub(super) config: PathBuf,
}

/// List terminals.
#[derive(Args)]
pub(crate) struct Terminals {
    #[command(flatten)]
    estate: Estate,
    /// Start after this serial.
    #[arg(long)]
    after: Option<wire::Serial>,
    /// How many at most.
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

/// Show one terminal.
#[derive(Args)]
pub(crate) struct OneTerminal {
    #[command(flatten)]
    estate: Estate,
    /// Its serial.
    sn: wire::Serial,
}

/// Show refusals, newest first.
#[derive(Args)]
pub(crate) struct Refusals {
    #[command(flatten)]
    estate: Estate,
    /// Of this terminal only.
    sn: Option<wire::Serial>,
    /// How many at most.
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

impl Kms {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            match self {
                Self::Overview(estate) => overview(&estate.open()?.1).await,
                Self::Terminals(terminals) => terminals.run().await,
                Self::Terminal(terminal) => terminal.run().await,
                Self::Refusals(refusals) => refusals.run().await,
                Self::Suites(suites) => suites.run().await,
                Self::Import(import) => import.run().await,
                Self::WorkKeyRequest(request) => request.run(Of::Kms).await,
                Self::WorkKeyInstall(install) => install.run(Of::Kms).await,
                Self::Order(order) => order.run().await,
                Self::Evidence(evidence) => evidence.run(Hop::Kms).await,
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Refusals {
    async fn run(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let entries = store.refusals(self.sn.as_ref(), self.limit).await?;
        let row = |entry: &RefusalEntry| {
            vec![
                entry.sn.to_string(),
                entry.refusal.occurred_at.map_or("unknown".into(), |at| time::text(at / 1000)),
                entry.refusal.check.clone(),
                entry.refusal.reading.clone(),
                time::text(entry.received_at / 1000),
                entry.source.clone(),
            ]
        };
        let head = ["serial", "when", "check", "reading", "told", "in"];
        show::table(&head, &entries.iter().map(row).collect::<Vec<_>>());
        Ok(())
    }
}

/// A running server's HSM serves commands too; else one is started for the moment.
pub(super) async fn connect_hsm(
    config: &Config,
    passphrase_file: Option<&PathBuf>,
) -> Result<(Option<HsmChild>, Client)> {
    let socket = config.path(&config.hsm.socket);
    if let Ok(client) = Client::connect(&socket).await {
        return Ok((None, client));
    }
    super::server::make_private_folder(&socket)?;
    let passphrase = Source::file(passphrase_file.cloned());
    let child = HsmChild::start(config, &passphrase).await?;
    let client = child.client.clone();
    Ok((Some(child), client))
}

impl Estate {
    pub(super) fn open(&self) -> Result<(Config, SqliteStore)> {
        let config = Config::read(&self.config)?;
        let store = open_store(&config)?;
        Ok((config, store))
    }
}

async fn overview(store: &SqliteStore) -> Result<()> {
    let counts = store.overview().await?;
    let rows = [
        ("terminals", counts.terminals),
        ("  transport key not used yet", counts.tks_as_ciphertext),
        ("  transport key in use", counts.tks_as_blocks),
        ("pending TMKs", counts.pending_keys),
        ("active TMKs", counts.active_keys),
        ("retired TMKs", counts.retired_keys),
        ("collections", counts.collections),
        ("replacements waiting for approval", counts.replacements_waiting),
        ("audit events", counts.events),
    ];
    let rows: Vec<_> = rows.iter().map(|(what, count)| vec![(*what).to_owned(), count.to_string()]).collect();
    show::table(&["", ""], &rows);
    Ok(())
}

impl Terminals {
    async fn run(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let terminals = store.terminals(self.after.as_ref(), self.limit).await?;
        let row = |t: &TerminalRecord| {
            vec![
                t.sn.to_string(),
                t.pin_pad.as_ref().map_or("built in".into(), ToString::to_string),
                t.vendor.clone().unwrap_or_default(),
                t.model.clone().unwrap_or_default(),
                format!("{:02}", t.suite),
                tk_state(&t.tk).to_owned(),
                t.fingerprint.clone(),
            ]
        };
        let head = ["serial", "PIN pad", "vendor", "model", "suite", "transport key", "fingerprint"];
        show::table(&head, &terminals.iter().map(row).collect::<Vec<_>>());
        Ok(())
    }
}

impl OneTerminal {
    async fn run(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let Some(terminal) = store.terminal(&self.sn).await? else {
            bail!("no terminal {} is known; collect it first", self.sn);
        };
        say!("terminal       {}", terminal.sn);
        say!("PIN pad        {}", terminal.key_serial());
        if let (Some(vendor), Some(model)) = (&terminal.vendor, &terminal.model) {
            say!("model          {vendor} {model}");
        }
        say!("acquirer       {}", terminal.acquirer);
        say!("transport key  {}, generation {}", tk_state(&terminal.tk), terminal.tk_generation);
        say!("fingerprint    {}", terminal.fingerprint);
        say!("collected      {}", time::text(terminal.created_at / 1000));
        let slots = store.slots(&self.sn).await?;
        let rows: Vec<_> = slots.iter().flat_map(|(slot, record)| slot_rows(slot.index(), record)).collect();
        show::table(&["slot", "state", "KCV", "since", "sent"], &rows);
        Ok(())
    }
}

fn slot_rows(slot: u8, record: &SlotRecord) -> Vec<Vec<String>> {
    let named = [("pending", record.pending.as_ref()), ("active", record.active.as_ref())];
    let held = named.into_iter().filter_map(|(state, key)| Some((state, key?)));
    let retired = record.retired.iter().map(|key| ("retired", key));
    held.chain(retired)
        .map(|(state, key)| {
            vec![
                format!("{slot:02}"),
                state.to_owned(),
                key.kcv.to_string(),
                time::text(key.changed_at / 1000),
                key.sent_count.to_string(),
            ]
        })
        .collect()
}

fn tk_state(tk: &TkRecord) -> &'static str {
    match tk {
        TkRecord::Ciphertext { .. } => "collected",
        TkRecord::Blocks { .. } => "in use",
        TkRecord::None => "none",
    }
}
