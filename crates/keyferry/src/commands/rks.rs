use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use hsm::{
    Hsm as _, KeyBlock,
    commands::{ExportDik1, MakeDik1, MakeDik1Ec},
};
use serde_json::json;
use store::{DeviceRecord, DeviceStore as _, Dik1Record, Dik1Scope, Event, NewDik1, Store as _};
use wire::Kcv;

use super::{
    kms::{Estate, connect_hsm},
    suite::SuiteName,
    work_key::{Of, WorkKeyInstall, WorkKeyRequest},
};
use crate::{files::write, show, time};

/// Who is named in the audit.
const ACTOR: &str = "keyferry rks";

/// The remote key server: device identity keys, its work key, its devices.
#[derive(Subcommand)]
pub(crate) enum Rks {
    /// Device identity keys of level 1, from which each device's key is derived.
    #[command(subcommand)]
    Dik1(Dik1),
    WorkKeyRequest(WorkKeyRequest),
    WorkKeyInstall(WorkKeyInstall),
    /// List devices: what key loading devices have reported.
    Devices(Devices),
}

/// Device identity keys of level 1.
#[derive(Subcommand)]
pub(crate) enum Dik1 {
    /// Make one in the HSM, for all devices or for those of one model and batch.
    Make(MakeOne),
    /// Export one for a key loading device, under the key agreed with it by components.
    Export(ExportOne),
    /// List them.
    List(Estate),
}

/// Make a DIK1.
#[derive(Args)]
pub(crate) struct MakeOne {
    #[command(flatten)]
    estate: Estate,
    /// What to call it: 1–32 of A-Z a-z 0-9 - . _
    label: String,
    /// The suite of the devices: 2 is EC and AES, 1 is TDES and RSA.
    #[arg(long, default_value_t = SuiteName::EcAes)]
    suite: SuiteName,
    /// For devices of this model only.
    #[arg(long, requires = "batch")]
    model: Option<String>,
    /// For devices of this batch only.
    #[arg(long, requires = "model")]
    batch: Option<String>,
    /// The HSM reads its passphrase from this file, where no HSM is running.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Export a DIK1.
#[derive(Args)]
pub(crate) struct ExportOne {
    #[command(flatten)]
    estate: Estate,
    /// Its label.
    label: String,
    /// The exchange key's name in `[rks] exchange_keys`.
    #[arg(long)]
    under: String,
    /// Where the key block goes: X9.143, version B in suite 1 and D in suite 2; it opens in that KLD's HSM only.
    #[arg(long)]
    out: PathBuf,
    /// The HSM reads its passphrase from this file, where no HSM is running.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// List devices.
#[derive(Args)]
pub(crate) struct Devices {
    #[command(flatten)]
    estate: Estate,
    /// Start after this serial.
    #[arg(long)]
    after: Option<wire::Serial>,
    /// How many at most.
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

impl Rks {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            match self {
                Self::Dik1(Dik1::Make(make)) => make.run().await,
                Self::Dik1(Dik1::Export(export)) => export.run().await,
                Self::Dik1(Dik1::List(estate)) => list(&estate).await,
                Self::WorkKeyRequest(request) => request.run(Of::Rks).await,
                Self::WorkKeyInstall(install) => install.run(Of::Rks).await,
                Self::Devices(devices) => devices.run().await,
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl MakeOne {
    async fn run(self) -> Result<()> {
        let (config, store) = self.estate.open()?;
        if store.dik1(&self.label).await?.is_some() {
            bail!("there is a DIK1 {} already; it is never replaced. Name another label", self.label);
        }
        let (_child, hsm) = connect_hsm(&config, self.passphrase_file.as_ref()).await?;
        let acquirer = config.acquirer.id.clone();
        let (owner, label) = (acquirer.clone(), self.label.clone());
        let (block, kcv) = match self.suite {
            SuiteName::Tdes => {
                let made = hsm.call(MakeDik1 { owner, label }).await?;
                (made.block, Kcv::Tdes(made.kcv))
            }
            SuiteName::EcAes => {
                let made = hsm.call(MakeDik1Ec { owner, label }).await?;
                (made.block, Kcv::Aes(made.kcv))
            }
        };
        let scope = match (self.model, self.batch) {
            (Some(model), Some(batch)) => Dik1Scope::Batch { model, batch },
            _ => Dik1Scope::Acquirer,
        };
        let detail = json!({ "kcv": kcv.to_string(), "for": text(&scope) });
        let event = Event::new(time::now_ms(), "rks.dik1-made", ACTOR, self.label.as_str(), detail);
        let dik1 = NewDik1 { label: self.label.clone(), acquirer, scope, block: block.into(), kcv };
        store.put_dik1(dik1, event).await?;
        say!("DIK1 {} made, check value {kcv}", self.label);
        Ok(())
    }
}

impl ExportOne {
    async fn run(self) -> Result<()> {
        let (config, store) = self.estate.open()?;
        let Some(record) = store.dik1(&self.label).await? else {
            bail!("there is no DIK1 {}; list them with `keyferry rks dik1 list`", self.label);
        };
        let Some(under) = server::exchange_key(&config, &self.under)? else {
            bail!("[rks] exchange_keys names no key {}; make it with `keyferry hsm component`", self.under);
        };
        let (_child, hsm) = connect_hsm(&config, self.passphrase_file.as_ref()).await?;
        let dik1 = KeyBlock::from_text(record.dik1.block);
        let block = hsm.call(ExportDik1 { dik1, under, owner: config.acquirer.id.clone() }).await?;
        let detail = json!({ "kcv": record.dik1.kcv.to_string(), "under": self.under });
        let event = Event::new(time::now_ms(), "rks.dik1-exported", ACTOR, self.label.as_str(), detail);
        store.audit_append(event).await?;
        write(&self.out, &block, 0o600)?;
        say!("DIK1 {} (check value {}) is in {}", self.label, record.dik1.kcv, self.out.display());
        Ok(())
    }
}

async fn list(estate: &Estate) -> Result<()> {
    let (_, store) = estate.open()?;
    let row = |record: &Dik1Record| {
        let made = time::text(record.created_at / 1000);
        vec![record.dik1.label.clone(), text(&record.dik1.scope), record.dik1.kcv.to_string(), made]
    };
    let rows: Vec<_> = store.dik1s().await?.iter().map(row).collect();
    show::table(&["label", "for", "KCV", "made"], &rows);
    Ok(())
}

fn text(scope: &Dik1Scope) -> String {
    match scope {
        Dik1Scope::Acquirer => "all devices".into(),
        Dik1Scope::Batch { model, batch } => format!("{model}, batch {batch}"),
    }
}

impl Devices {
    async fn run(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let devices = store.devices(self.after.as_ref(), self.limit).await?;
        let row = |device: &DeviceRecord| {
            let kcv = |kcv: Option<Kcv>| kcv.map_or("none".into(), |kcv| kcv.to_string());
            vec![
                device.sn.to_string(),
                if device.key_serial == device.sn {
                    "built in".into()
                } else {
                    device.key_serial.to_string()
                },
                device.identity.as_ref().map_or("none".into(), |identity| identity.dik1.clone()),
                kcv(device.identity.as_ref().map(|identity| identity.kcv)),
                kcv(device.dmk.as_ref().map(|dmk| dmk.kcv)),
                device.kld.clone(),
                device.run.clone(),
                time::text(device.loaded_at / 1000),
                if device.compromised { "compromised" } else { "good" }.into(),
            ]
        };
        let head = ["serial", "PIN pad", "DIK1", "DIK2 KCV", "DMK KCV", "KLD", "run", "loaded", "state"];
        show::table(&head, &devices.iter().map(row).collect::<Vec<_>>());
        Ok(())
    }
}
