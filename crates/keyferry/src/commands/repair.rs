use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use station::{
    CardSource, Target,
    repair::{
        DEFAULT_VALID_MINUTES, MAX_VALID_MINUTES, RepairCard, RepairFault, RepairSettings, Repaired, repair,
    },
};
use wire::Serial;

use super::{
    cards,
    station::{Config, Settings},
};

/// Repair a terminal.
#[derive(Args)]
pub(crate) struct Repair {
    #[command(flatten)]
    config: Config,
    /// The terminal's address, host:port or serial:/dev/ttyUSB0?baud=115200
    #[arg(long, value_name = "ADDRESS")]
    terminal: Target,
    /// The serial of the terminal that is to be repaired; nothing is signed for another one.
    #[arg(long, value_name = "SERIAL")]
    sn: Serial,
    /// The vendor's repair authorisation card: a file, or a token's pkcs11: URI.
    #[arg(long, value_name = "CARD")]
    card: CardSource,
    /// Read the card's PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// Minutes that the authorisation holds, by the terminal's clock.
    #[arg(long, default_value_t = DEFAULT_VALID_MINUTES,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_VALID_MINUTES)))]
    valid_minutes: u32,
}

impl Repair {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if let Some(other) = self.terminal.expected().filter(|other| **other != self.sn) {
            bail!("--terminal names {other} and --sn {}: name one terminal", self.sn);
        }
        let (card, done) = self.repair()?;
        say!("{} is in repair; every key in it is wiped", done.device.sn());
        if let Some(pin_pad) = done.device.external_pin_pad() {
            say!("PIN pad        {pin_pad}");
        }
        say!("authorised by  {}", card.certificate().subject());
        say!("valid until    {}", done.expiry);
        say!("collect it again before it is deployed, with `keyferry station collect --replace`");
        Ok(ExitCode::SUCCESS)
    }

    fn repair(&self) -> Result<(RepairCard, Repaired)> {
        let checks = Settings::read(&self.config.config)?.checks()?;
        let failed = |fault: RepairFault| {
            anyhow!(
                "{} at {} was not repaired: {fault} -> {}",
                self.sn,
                self.terminal.address(),
                fault.advice()
            )
        };
        let face = self.card.insert().map_err(|error| failed(error.into()))?;
        let pin = cards::pin(face.as_ref(), "repair authorisation card", self.pin_file.clone())?;
        let card = RepairCard::open(face, &pin, &checks).map_err(|error| failed(error.into()))?;
        let how = RepairSettings { valid_minutes: self.valid_minutes, ..RepairSettings::default() };
        let done = repair(&card, self.terminal.address(), &self.sn, &how).map_err(failed)?;
        Ok((card, done))
    }
}
