//! The host's side for people: zone keys, and which terminal a POSP knows by which name.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use hsm::{KeyBlock, commands::ZoneAlgorithm};
use serde::Deserialize;
use server::host::{
    identity::{self, Named, NewIdentity, Wanted},
    zone::{self, By, Zone},
};
use store::limits;

use super::{
    component::{CombinedKey, Kind},
    kms::{Estate, connect_hsm},
};
use crate::{files::write, show, time};

/// Who is named in the audit.
const ACTOR: &str = "keyferry host";

/// The POS host's side: zone keys to issuers, terminals' names.
#[derive(Subcommand)]
pub(crate) enum Host {
    /// Keys under which PINs leave for the next host.
    #[command(subcommand)]
    ZoneKey(ZoneKey),
    /// Terminal ids and merchant ids of terminals.
    #[command(subcommand)]
    Identity(Identity),
}

/// Zone keys.
#[derive(Subcommand)]
pub(crate) enum ZoneKey {
    /// Take a zone's PIN key from the other side.
    Import(Import),
    /// Make a zone's PIN key and write it for the other side.
    Make(Make),
    /// List zones.
    List(Estate),
}

/// The zone master key that both sides typed as components.
#[derive(Args)]
pub(crate) struct Under {
    /// The file that `keyferry hsm component combine` wrote for the zone master key.
    #[arg(long, value_name = "FILE")]
    under: PathBuf,
    /// The HSM reads its passphrase from this file, where no HSM is running.
    #[arg(long, value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
}

/// Take a zone's PIN key.
#[derive(Args)]
pub(crate) struct Import {
    #[command(flatten)]
    estate: Estate,
    #[command(flatten)]
    under: Under,
    /// The zone's name, 1–32 of A-Z a-z 0-9 - . _
    zone: String,
    /// The key's block: X9.143, version B under a TDES zone master key, D under an AES one.
    #[arg(long, value_name = "FILE")]
    block: PathBuf,
}

/// Make a zone's PIN key.
#[derive(Args)]
pub(crate) struct Make {
    #[command(flatten)]
    estate: Estate,
    #[command(flatten)]
    under: Under,
    /// The zone's name, 1–32 of A-Z a-z 0-9 - . _
    zone: String,
    /// The key's cipher: aes only under an AES zone master key.
    #[arg(long, value_enum, default_value_t = Cipher::Tdes)]
    algorithm: Cipher,
    /// Where its block for the other side goes.
    #[arg(long)]
    out: PathBuf,
}

/// A zone key's cipher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Cipher {
    /// PIN block formats 0 and 3.
    Tdes,
    /// PIN block format 4.
    Aes,
}

/// Terminals' names.
#[derive(Subcommand)]
pub(crate) enum Identity {
    /// Give terminals their terminal id and merchant id.
    Set(Set),
    /// Look terminals up, by either side's name.
    Find(Find),
}

/// Name terminals.
#[derive(Args)]
pub(crate) struct Set {
    #[command(flatten)]
    estate: Estate,
    /// Lines of JSON: {"sn":"…","terminal_id":"…","merchant_id":"…"}.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

/// Look terminals up.
#[derive(Args)]
pub(crate) struct Find {
    #[command(flatten)]
    estate: Estate,
    #[command(flatten)]
    by: FindBy,
    /// Of a merchant, those behind this serial.
    #[arg(long, requires = "merchant_id", conflicts_with_all = ["sn", "terminal_id"])]
    after: Option<String>,
}

/// By what.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct FindBy {
    /// The terminal's serial.
    #[arg(long)]
    sn: Option<String>,
    /// The terminal id (ISO 8583 field 41).
    #[arg(long)]
    terminal_id: Option<String>,
    /// The merchant id (ISO 8583 field 42).
    #[arg(long)]
    merchant_id: Option<String>,
}

impl Host {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            match self {
                Self::ZoneKey(ZoneKey::Import(import)) => import.run().await,
                Self::ZoneKey(ZoneKey::Make(make)) => make.run().await,
                Self::ZoneKey(ZoneKey::List(estate)) => list(&estate).await,
                Self::Identity(Identity::Set(set)) => set.run().await,
                Self::Identity(Identity::Find(find)) => find.run().await,
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Under {
    /// The zone master key's block.
    pub(super) fn block(&self) -> Result<KeyBlock> {
        let name = self.under.display();
        let text = fs::read_to_string(&self.under).with_context(|| format!("cannot read {name}"))?;
        let key: CombinedKey = serde_json::from_str(&text)
            .with_context(|| format!("{name} is not what `keyferry hsm component combine` writes"))?;
        if !matches!(key.kind, Kind::ZoneMaster | Kind::ZoneMasterAes) {
            bail!("{name} holds no zone master key; combine its components with --for zone-master");
        }
        Ok(KeyBlock::from_text(key.block))
    }
}

impl Import {
    async fn run(self) -> Result<()> {
        let (config, store) = self.estate.open()?;
        let under = self.under.block()?;
        let block = fs::read_to_string(&self.block)
            .with_context(|| format!("cannot read {}", self.block.display()))?;
        let (_child, hsm) = connect_hsm(&config, self.under.passphrase_file.as_ref()).await?;
        let by = By { owner: &config.acquirer.id, actor: ACTOR };
        let zone = zone::import(&hsm, &store, &under, (&self.zone, block.trim()), by).await?;
        active(&zone);
        Ok(())
    }
}

impl Make {
    async fn run(self) -> Result<()> {
        let (config, store) = self.estate.open()?;
        if self.out.exists() {
            bail!("{} exists; nothing was changed", self.out.display());
        }
        let under = self.under.block()?;
        let (_child, hsm) = connect_hsm(&config, self.under.passphrase_file.as_ref()).await?;
        let algorithm = match self.algorithm {
            Cipher::Tdes => ZoneAlgorithm::Tdes,
            Cipher::Aes => ZoneAlgorithm::Aes,
        };
        let by = By { owner: &config.acquirer.id, actor: ACTOR };
        let (zone, block) = zone::make(&hsm, &store, &under, (&self.zone, algorithm), by).await?;
        write(&self.out, &block, 0o600)?;
        active(&zone);
        say!("for the other side: {}", self.out.display());
        Ok(())
    }
}

fn active(zone: &Zone) {
    say!("zone {} has a {} key with check value {}", zone.name, zone.algorithm, zone.kcv);
}

async fn list(estate: &Estate) -> Result<()> {
    let (_, store) = estate.open()?;
    let since = |zone: &Zone| zone.since.map_or_else(String::new, |at| time::text(at / 1000));
    let row = |zone: &Zone| vec![zone.name.clone(), zone.algorithm.clone(), zone.kcv.clone(), since(zone)];
    let rows: Vec<_> = zone::list(&store).await?.iter().map(row).collect();
    show::table(&["zone", "cipher", "KCV", "since"], &rows);
    Ok(())
}

/// A line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sn: String,
    terminal_id: String,
    #[serde(default)]
    merchant_id: String,
}

impl Set {
    async fn run(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let name = self.file.display();
        let text = fs::read_to_string(&self.file).with_context(|| format!("cannot read {name}"))?;
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let Line { sn, terminal_id, merchant_id } =
                serde_json::from_str(line).with_context(|| format!("{name}, line {number}"))?;
            lines.push((number, NewIdentity { sn, terminal_id, merchant_id }));
        }
        let (mut stored, mut refused) = (0, 0);
        for part in lines.chunks(limits::IMPORT) {
            let identities = part.iter().map(|(_, identity)| identity.clone()).collect();
            let outcomes = identity::name(&store, identities, ACTOR).await?;
            for ((number, identity), outcome) in part.iter().zip(outcomes) {
                if outcome == Named::Stored {
                    stored += 1;
                } else {
                    refused += 1;
                    say!("line {number}, {}: {outcome}", identity.sn);
                }
            }
        }
        say!("{stored} terminals have their names, {refused} were refused");
        if refused > 0 {
            bail!("not every line was taken; mend those and run it again");
        }
        Ok(())
    }
}

impl Find {
    async fn run(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let wanted = match (&self.by.sn, &self.by.terminal_id, &self.by.merchant_id) {
            (Some(sn), ..) => Wanted::Serial(sn),
            (_, Some(id), _) => Wanted::TerminalId(id),
            (.., Some(id)) => Wanted::MerchantId { id, after: self.after.as_deref() },
            _ => bail!("name --sn, --terminal-id or --merchant-id"),
        };
        let found = identity::look_up(&store, wanted).await?;
        let rows: Vec<_> =
            found.into_iter().map(|i| vec![i.sn.to_string(), i.terminal_id, i.merchant_id]).collect();
        show::table(&["serial", "terminal id", "merchant id"], &rows);
        Ok(())
    }
}
