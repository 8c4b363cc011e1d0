use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use hsm::{
    Client, Hsm as _, KeyBlock,
    commands::{CheckWorkKey, MakeWorkKey},
};
use pki::{Certificate, Role, csr};
use server::Config;
use store::{DeviceStore as _, RefusalEntry, SlotRecord, SqliteStore, Store as _, TerminalRecord, TkRecord};

use super::{init, server::open_store};
use crate::{files::write, hsm_child::HsmChild, secret::Source, show, time};

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
    /// Make a new work key in the HSM and a request for its certificate.
    WorkKeyRequest(WorkKeyRequest),
    /// Install the certificate of a new work key; the old one still opens what was collected under it.
    WorkKeyInstall(WorkKeyInstall),
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

/// Make a new work key.
#[derive(Args)]
pub(crate) struct WorkKeyRequest {
    #[command(flatten)]
    estate: Estate,
    /// RSA bits: 2048, 3072 or 4096.
    #[arg(long, default_value_t = 2048)]
    bits: u32,
    /// Where the request goes (PKCS #10, PEM).
    #[arg(long)]
    out: PathBuf,
    /// Where the private key's block goes; it opens in this estate's HSM only.
    #[arg(long)]
    key_block: PathBuf,
    /// The HSM reads its passphrase from this file, where no HSM is running.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Install a work key.
#[derive(Args)]
pub(crate) struct WorkKeyInstall {
    #[command(flatten)]
    estate: Estate,
    /// The certificate, PEM.
    #[arg(long)]
    certificate: PathBuf,
    /// The private key's block that `work-key-request` wrote.
    #[arg(long)]
    key_block: PathBuf,
    /// The HSM reads its passphrase from this file, where no HSM is running.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
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
                Self::WorkKeyRequest(request) => request.run().await,
                Self::WorkKeyInstall(install) => install.run().await,
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
    let child = HsmChild::start(&config.path(&config.hsm.folder), &socket, &passphrase).await?;
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

impl WorkKeyRequest {
    async fn run(self) -> Result<()> {
        let config = Config::read(&self.estate.config)?;
        let (_child, hsm) = connect_hsm(&config, self.passphrase_file.as_ref()).await?;
        let owner = config.acquirer.id.clone();
        let subject = format!("{owner} KMS work key");
        let made = hsm.call(MakeWorkKey { bits: self.bits, subject, owner }).await?;
        write(&self.key_block, made.private.as_str(), 0o600)?;
        write(&self.out, &csr::to_pem(&made.request), 0o644)?;
        say!("request written to {}; next:", self.out.display());
        say!("  keyferry ca issue --role kms-work --request {} --out work.pem", self.out.display());
        say!(
            "  keyferry kms work-key-install --certificate work.pem --key-block {}",
            self.key_block.display()
        );
        Ok(())
    }
}

impl WorkKeyInstall {
    async fn run(self) -> Result<()> {
        let (config, store) = self.estate.open()?;
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let certificate = Certificate::from_pem(&read(&self.certificate)?)?;
        server::check_certificate(&config, &certificate, Role::KmsWork)?;
        let block = read(&self.key_block)?.trim().to_owned();
        let (_child, hsm) = connect_hsm(&config, self.passphrase_file.as_ref()).await?;
        let (public, owner) = (certificate.spki_der().to_vec(), config.acquirer.id.clone());
        let check = CheckWorkKey { work_key: KeyBlock::from_text(block.clone()), public, owner };
        hsm.call(check).await.context("certificate and key block do not belong together here")?;
        init::install_work_key(&store, &certificate, &block, "keyferry kms").await?;
        say!("work key {} is active; collect new terminals under its certificate", certificate.sha256_hex());
        Ok(())
    }
}
