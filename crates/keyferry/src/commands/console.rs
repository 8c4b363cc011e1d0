//! `keyferry station console`: the station on a full screen.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;
use station::{
    CollectSettings, Target,
    console::{End, Setup, run},
};

use super::{
    packages::Passphrase,
    station::{Config, Settings, read_serials},
};

/// The station on a full screen: both cards, what is plugged in, one key to collect it, and what waits for the server.
#[derive(Args)]
pub(crate) struct Console {
    #[command(flatten)]
    config: Config,
    /// The address of a terminal on the network, host:port, or SERIAL@host:port to be sure whose it is; may be repeated.
    /// What is plugged in by cable is found by itself.
    #[arg(long = "terminal", value_name = "ADDRESS")]
    terminals: Vec<Target>,
    /// A file of the serials that may be collected, one a line.
    #[arg(long, value_name = "FILE")]
    serials: Option<PathBuf>,
    /// The terminals are known already and their new keys are to replace the old: a second person must approve.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Console {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let settings = Settings::read(&self.config.config)?;
        let allowed = self.serials.as_deref().map(read_serials).transpose()?;
        let [operator, administrator] = settings.card_sources();
        let collect = CollectSettings {
            parallel: settings.collect.parallel,
            allowed,
            replaces: self.replace,
            ..CollectSettings::default()
        };
        let setup = Setup {
            station: settings.name().to_owned(),
            operator,
            administrator,
            trust: settings.roots()?,
            revocation: settings.revocation_file()?,
            server: settings.server_settings()?,
            work_certificate: settings.work_certificate_file(),
            ceremony: settings.ceremony_file(),
            journal: settings.journal(&self.passphrase)?,
            collect,
            links: settings.links,
            targets: self.terminals,
            // https://no-color.org: set, and not empty.
            colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        Ok(match run(setup)? {
            End::Quit => ExitCode::SUCCESS,
            // As a shell shows a program that a signal ended.
            End::Signal(signal) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX)),
        })
    }
}
