//! `keyferry station upload` and `pack`: what is in the journal, on its way to the server.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use station::{
    Delivery, FingerprintCheck, Journal, Upload as Answer,
    journal::{LeftRun, Packing},
    pack_collected, upload_waiting,
};

use super::station::{BothPins, Config, Settings, exit};
use crate::secret::Source;

/// The station passphrase.
#[derive(Args, Clone)]
pub(crate) struct Passphrase {
    /// Read the station passphrase, which opens the journal, from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    station_passphrase_file: Option<PathBuf>,
}

impl Passphrase {
    /// Reads the one that exists.
    pub(super) fn read(&self) -> Result<zeroize::Zeroizing<String>> {
        Source::file(self.station_passphrase_file.clone()).read("station passphrase")
    }

    /// Reads one that is being chosen.
    pub(super) fn choose(&self) -> Result<zeroize::Zeroizing<String>> {
        Source::file(self.station_passphrase_file.clone()).choose("station passphrase")
    }
}

/// Upload packages that wait. Needs no cards.
#[derive(Args)]
pub(crate) struct Deliver {
    #[command(flatten)]
    config: Config,
    #[command(flatten)]
    passphrase: Passphrase,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Pack and sign what was collected and is in no package, as after a power failure.
#[derive(Args)]
pub(crate) struct Pack {
    #[command(flatten)]
    config: Config,
    #[command(flatten)]
    passphrase: Passphrase,
    #[command(flatten)]
    pins: BothPins,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Deliver {
    pub(super) fn run(self) -> Result<ExitCode> {
        let settings = Settings::read(&self.config.config)?;
        let journal = settings.journal(&self.passphrase)?;
        let delivered = upload_waiting(&settings.server()?, &journal);
        show_deliveries(&delivered, self.json);
        if !self.json {
            tell_unpacked(&journal, &self.config);
        }
        Ok(exit(delivered.iter().all(is_good)))
    }
}

impl Pack {
    pub(super) fn run(self) -> Result<ExitCode> {
        let settings = Settings::read(&self.config.config)?;
        let journal = settings.journal(&self.passphrase)?;
        let cards = self.pins.open(&settings, &settings.checks()?)?;
        let packing = pack_collected(&journal, &cards, settings.name())?;
        if self.json {
            say!("{}", packing_json(&packing));
        } else {
            show_packing(&packing);
            if packing.packed.is_empty() && packing.left.is_empty() && packing.withdrawn.is_empty() {
                say!("all that was collected is packed");
            }
            if !packing.packed.is_empty() {
                say!("upload with: keyferry station upload --config {}", self.config.config.display());
            }
        }
        Ok(exit(packing.left.is_empty() && packing.withdrawn.is_empty()))
    }
}

/// Says that something was collected and is not packed, where that is so.
pub(super) fn tell_unpacked(journal: &Journal, config: &Config) {
    let unpacked = journal.overview().unpacked;
    if unpacked > 0 {
        say!(
            "{unpacked} terminals were collected and are not packed yet; with both cards: keyferry station pack --config {}",
            config.config.display()
        );
    }
}

/// What was packed, and what was not.
pub(super) fn show_packing(packing: &Packing) {
    for name in &packing.packed {
        say!("package {name}");
    }
    for terminal in &packing.withdrawn {
        say!("  {}  NOT PACKED: {}", terminal.sn, terminal.why);
    }
    for LeftRun { run, why } in &packing.left {
        say!(
            "{} terminals collected at {} were not packed: {why}",
            run.terminals.len(),
            crate::time::text(run.began)
        );
    }
}

pub(super) fn packing_json(packing: &Packing) -> Value {
    json!({
        "packed": packing.packed.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "left": packing.left.iter().map(|left| json!({
            "began": left.run.began,
            "terminals": left.run.terminals.iter().map(|(sn, _)| sn.as_str()).collect::<Vec<_>>(),
            "why": left.why.to_string(),
        })).collect::<Vec<_>>(),
        "withdrawn": packing.withdrawn.iter().map(|one| {
            json!({ "sn": one.sn.as_str(), "why": one.why })
        }).collect::<Vec<_>>(),
    })
}

pub(super) fn is_good(delivery: &Delivery) -> bool {
    match &delivery.outcome {
        Ok(Answer::Taken(results)) => results.iter().all(|result| result.ok && !result.is_alarm()),
        Ok(Answer::ArrivedBefore) => true,
        Err(_) => false,
    }
}

pub(super) fn show_deliveries(deliveries: &[Delivery], json: bool) {
    if json {
        say!("{}", Value::Array(deliveries.iter().map(delivery_json).collect()));
        return;
    }
    for delivery in deliveries {
        say!("upload {}", delivery.package);
        match &delivery.outcome {
            Ok(Answer::Taken(results)) => results.iter().for_each(|result| say!("  {result}")),
            Ok(Answer::ArrivedBefore) => say!("  arrived before; compare the fingerprints at the KMS"),
            Err(error) => say!("  still waiting: {error}"),
        }
    }
}

pub(super) fn delivery_json(delivery: &Delivery) -> Value {
    let outcome = match &delivery.outcome {
        Ok(Answer::Taken(results)) => json!({ "taken": results.iter().map(|result| {
            let same = matches!(result.fingerprint, FingerprintCheck::Same(_));
            json!({ "sn": result.sn.as_str(), "ok": result.ok, "code": result.code, "text": result.text,
                    "fingerprint_agrees": same })
        }).collect::<Vec<_>>() }),
        Ok(Answer::ArrivedBefore) => json!({ "arrived_before": true }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    json!({ "package": delivery.package.to_string(), "outcome": outcome })
}
