use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use station::allowance::{Allowance, MAX_DAYS};
use wire::Serial;

use super::{
    station::{Config, Settings},
    suite::SuiteName,
};

/// Let a terminal go back to suite 1 for a while, or end that: an operator asks and an administrator approves, both with
/// their cards and with the same words.
#[derive(Args)]
pub(crate) struct AllowSuite {
    #[command(flatten)]
    config: Config,
    /// The terminal.
    sn: Serial,
    /// Down to which suite.
    #[arg(long, default_value_t = SuiteName::Tdes)]
    suite: SuiteName,
    /// For how many days; 0 ends leave that was given before.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_DAYS)))]
    days: u32,
    /// Why, for whoever reads the audit.
    #[arg(long)]
    reason: String,
    /// Read the operator card's PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    operator_pin_file: Option<std::path::PathBuf>,
    /// Read the administrator card's PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    administrator_pin_file: Option<std::path::PathBuf>,
}

impl AllowSuite {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let settings = Settings::read(&self.config.config)?;
        let (server, checks) = (settings.server()?, settings.checks()?);
        // The PINs are their yes: what it is said to stands above the question.
        say!("terminal   {}", self.sn);
        say!("suite      {}, for {} days from now", self.suite, self.days);
        say!("reason     {}", self.reason);
        let cards =
            settings.both_cards()?.open(self.operator_pin_file, self.administrator_pin_file, &checks)?;
        let allowance =
            Allowance { sn: self.sn, suite: self.suite.suite(), days: self.days, reason: self.reason };
        say!("{}", allowance.give(&server, &cards)?);
        Ok(ExitCode::SUCCESS)
    }
}
