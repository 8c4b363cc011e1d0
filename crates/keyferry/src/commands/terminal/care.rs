//! What happens to a terminal besides its flows: its surroundings, its roots, its end.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use terminal::{Terminal as Device, TrustedRoot, board::SimulatedBoard};

use super::read_certificate;

/// Change what the simulated board's sensors say, also while the terminal runs; without options, show it.
#[derive(Args)]
pub(crate) struct Sensor {
    /// The terminal's folder.
    folder: PathBuf,
    /// Open or close the lid. Every opening is counted, however short.
    #[arg(long, value_enum)]
    lid: Option<Lid>,
    /// Supply voltage in mV; 3300 is nominal.
    #[arg(long, allow_negative_numbers = true)]
    millivolts: Option<i32>,
    /// Temperature in °C; 23 is nominal.
    #[arg(long, allow_negative_numbers = true)]
    celsius: Option<i32>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lid {
    Open,
    Closed,
}

/// End a terminal's life: every key is wiped, and there is no way back.
#[derive(Args)]
pub(crate) struct Retire {
    /// The terminal's folder.
    folder: PathBuf,
    /// Say that you mean it.
    #[arg(long)]
    yes: bool,
}

/// Give a terminal another acquirer's root: in production before it holds any key, or in repair.
#[derive(Args)]
pub(crate) struct InstallRoot {
    /// The terminal's folder.
    folder: PathBuf,
    /// The acquirer's root, PEM.
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
}

impl Sensor {
    pub(crate) fn run(self) -> Result<()> {
        if !self.folder.is_dir() {
            bail!("{} is no terminal's folder", self.folder.display());
        }
        let board = SimulatedBoard::of(&self.folder);
        let changes = self.lid.is_some() || self.millivolts.is_some() || self.celsius.is_some();
        let readings = if changes {
            board.change(|readings| {
                readings.lid_open = self.lid.map_or(readings.lid_open, |lid| lid == Lid::Open);
                readings.millivolts = self.millivolts.unwrap_or(readings.millivolts);
                readings.celsius = self.celsius.unwrap_or(readings.celsius);
            })?
        } else {
            board.read()?
        };
        say!("lid          {}", if readings.lid_open { "open" } else { "closed" });
        say!("openings     {}", readings.lid_openings);
        say!("voltage      {} mV", readings.millivolts);
        say!("temperature  {} °C", readings.celsius);
        Ok(())
    }
}

impl Retire {
    pub(crate) fn run(self) -> Result<()> {
        if !self.yes {
            bail!("a retired terminal never works again; if you mean it, add --yes");
        }
        let mut device = Device::open(&self.folder)?;
        device.retire()?;
        say!("terminal {} is retired; every key of it is wiped", device.device().sn());
        Ok(())
    }
}

impl InstallRoot {
    pub(crate) fn run(self) -> Result<()> {
        let root = TrustedRoot::of_acquirer(read_certificate(&self.root)?);
        let mut device = Device::open(&self.folder)?;
        device.install_root(&root)?;
        say!("terminal {} believes {} now", device.device().sn(), root.certificate.subject());
        Ok(())
    }
}
