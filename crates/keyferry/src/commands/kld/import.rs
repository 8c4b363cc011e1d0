use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use station::kld::{Combined, Place};
use wire::{Kcv, Serial, Slot};

use super::{Folder, Pins, Unseal};
use crate::commands::component::{CombinedKey, Kind};

/// Take a key.
#[derive(Subcommand)]
pub(crate) enum Import {
    /// The exchange key, from `keyferry hsm component combine` on this KLD's HSM.
    ExchangeKey(Exchange),
    /// A DIK1 that the RKS exported under the exchange key.
    Dik1(Dik1),
    /// A TMK for one slot of one PIN pad.
    Tmk(Tmk),
    /// A DMK for one PIN pad.
    Dmk(Dmk),
}

/// What every import needs.
#[derive(Args)]
pub(crate) struct How {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    pins: Pins,
}

/// Take the exchange key.
#[derive(Args)]
pub(crate) struct Exchange {
    #[command(flatten)]
    how: How,
    /// The file that `combine` wrote.
    #[arg(long, value_name = "FILE")]
    combined: PathBuf,
}

/// Take a DIK1.
#[derive(Args)]
pub(crate) struct Dik1 {
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    unseal: Unseal,
    /// The file with its key block, X9.143 under the exchange key.
    #[arg(long, value_name = "FILE")]
    block: PathBuf,
    /// The label that it was made with (`keyferry rks dik1 make`).
    #[arg(long)]
    label: String,
}

/// Where a terminal's key comes from.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct From {
    /// A file with its key block, X9.143 under the exchange key.
    #[arg(long, value_name = "FILE")]
    block: Option<PathBuf>,
    /// The file that `keyferry hsm component combine` wrote, on this KLD's HSM.
    #[arg(long, value_name = "FILE")]
    combined: Option<PathBuf>,
}

/// Take a TMK.
#[derive(Args)]
pub(crate) struct Tmk {
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    unseal: Unseal,
    /// The PIN pad that it belongs to: the terminal's serial where that is built in.
    #[arg(long)]
    pin_pad: Serial,
    /// Its slot, 0–99.
    #[arg(long)]
    slot: u8,
    #[command(flatten)]
    from: From,
}

/// Take a DMK.
#[derive(Args)]
pub(crate) struct Dmk {
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    unseal: Unseal,
    /// The PIN pad that it belongs to: the terminal's serial where that is built in.
    #[arg(long)]
    pin_pad: Serial,
    #[command(flatten)]
    from: From,
}

impl Import {
    pub(super) fn run(self) -> Result<()> {
        match self {
            Self::ExchangeKey(exchange) => exchange.run(),
            Self::Dik1(dik1) => dik1.run(),
            Self::Tmk(Tmk { how, unseal, pin_pad, slot, from }) => {
                let slot = Some(Slot::new(slot)?);
                how.terminals_key(&unseal, &Place { pin_pad, slot }, &from)
            }
            Self::Dmk(Dmk { how, unseal, pin_pad, from }) => {
                how.terminals_key(&unseal, &Place { pin_pad, slot: None }, &from)
            }
        }
    }
}

impl Exchange {
    fn run(self) -> Result<()> {
        let combined = read(&self.combined)?;
        if !matches!(combined.kind, Kind::Exchange | Kind::ExchangeAes) {
            bail!("{} holds no exchange key", self.combined.display());
        }
        let settings = self.how.folder.settings()?;
        let cards = self.how.pins.open(&settings, &settings.checks()?)?;
        let key = taken(combined)?;
        let kcv = key.kcv;
        self.how.folder.open()?.take_exchange_key(&cards, key)?;
        say!("exchange key with check value {kcv}; the KMS must show the same");
        Ok(())
    }
}

impl Dik1 {
    fn run(self) -> Result<()> {
        let settings = self.how.folder.settings()?;
        let cards = self.how.pins.open(&settings, &settings.checks()?)?;
        let block = text(&self.block)?;
        let kcv =
            self.how.folder.open_with_hsm(&self.unseal)?.kld.import_dik1(&cards, &block, &self.label)?;
        say!("DIK1 {} with check value {kcv}; the RKS must show the same", self.label);
        Ok(())
    }
}

impl How {
    fn terminals_key(&self, unseal: &Unseal, place: &Place, from: &From) -> Result<()> {
        let settings = self.folder.settings()?;
        let cards = self.pins.open(&settings, &settings.checks()?)?;
        let kcv = match (&from.block, &from.combined) {
            (Some(block), _) => {
                let block = text(block)?;
                self.folder.open_with_hsm(unseal)?.kld.import_key(&cards, place, &block)?
            }
            (None, Some(path)) => {
                let combined = read(path)?;
                let (pin_pad, slot) = (place.pin_pad.as_str(), place.slot.map(Slot::index));
                let kind = if slot.is_some() { Kind::Tmk } else { Kind::Dmk };
                let same = (combined.kind, combined.pin_pad.as_deref(), combined.slot)
                    == (kind, Some(pin_pad), slot);
                if !same {
                    bail!("{} holds a key for another place", path.display());
                }
                self.folder.open()?.take_key(&cards, place, taken(combined)?)?
            }
            (None, None) => bail!("name the key: --block or --combined"),
        };
        say!("key for {} with check value {kcv}", place.pin_pad);
        Ok(())
    }
}

fn text(path: &PathBuf) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn read(path: &PathBuf) -> Result<CombinedKey> {
    serde_json::from_str(&text(path)?)
        .with_context(|| format!("{} was not written by `keyferry hsm component combine`", path.display()))
}

fn taken(key: CombinedKey) -> Result<Combined> {
    let kcv: Kcv = key.kcv.parse().context("the key's check value")?;
    Ok(Combined { name: key.name, block: key.block, kcv })
}
