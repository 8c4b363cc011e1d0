use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use station::{
    LinkLimits, Target,
    kld::{LoadFailure, LoadFault, LoadedTerminal, RunStatus, What, list},
    link::{DEFAULT_SPEED, Link},
};
use wire::Serial;

use super::{Folder, Pins, Unseal};
use crate::commands::{device::line, suite::SuiteName};

/// Runs.
#[derive(Subcommand)]
pub(crate) enum Run {
    /// Open a run against a list of terminals.
    Open(Open),
    /// Load terminals of the run's list.
    Load(Load),
    /// Show how far the newest run is.
    Status(Status),
    /// Close the run and write its report, signed by the operator card.
    Close(Close),
}

/// Open a run.
#[derive(Args)]
pub(crate) struct Open {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    pins: Pins,
    /// A file of the terminals that may be served, a serial on each line, an external PIN pad's behind it.
    #[arg(long, value_name = "FILE")]
    serials: PathBuf,
    /// The suite to load in; the best that this KLD has a certificate for, unless given.
    #[arg(long)]
    suite: Option<SuiteName>,
    /// What each terminal gets: tmk:SLOT, dmk, dik2 or dik2:LABEL.
    #[arg(long = "what", value_name = "KEY", required = true, num_args = 1..)]
    what: Vec<What>,
}

/// Load terminals.
#[derive(Args)]
pub(crate) struct Load {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    pins: Pins,
    #[command(flatten)]
    unseal: Unseal,
    /// A terminal's address, host:port or serial:/dev/ttyUSB0?baud=115200, with SERIAL@ before it to be sure whose it is;
    /// may be repeated.
    #[arg(long = "terminal", value_name = "ADDRESS", required_unless_present = "device")]
    terminals: Vec<Target>,
    /// A serial line or pseudo-terminal that a terminal is at.
    #[arg(long, value_name = "PATH", conflicts_with = "terminals")]
    device: Option<PathBuf>,
    /// The line's speed, bits per second; always 8 bits, no parity, one stop bit.
    #[arg(long, default_value_t = DEFAULT_SPEED, requires = "device", conflicts_with = "terminals")]
    speed: u32,
    /// The serial that must answer at the line.
    #[arg(long, requires = "device", conflicts_with = "terminals")]
    sn: Option<Serial>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Show the run.
#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    folder: Folder,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Close the run.
#[derive(Args)]
pub(crate) struct Close {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    pins: Pins,
    /// Keep the report here and do not upload it now.
    #[arg(long)]
    offline: bool,
}

impl Run {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Open(open) => open.run()?,
            Self::Load(load) => return load.run(),
            Self::Status(status) => status.run()?,
            Self::Close(close) => return close.run(),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Open {
    fn run(self) -> Result<()> {
        let text = fs::read_to_string(&self.serials)
            .with_context(|| format!("cannot read {}", self.serials.display()))?;
        let listed = list::read(&text)?;
        let settings = self.folder.settings()?;
        let checks = settings.checks()?;
        let cards = self.pins.open(&settings, &checks)?;
        let kld = self.folder.open()?;
        let suite = self.suite.map_or_else(|| kld.best_suite(), SuiteName::suite);
        let run = kld.open_run(suite, &cards, &checks, &listed, &self.what)?;
        say!("run {} is open in suite {suite} for {} terminals", run.name(), listed.len());
        Ok(())
    }
}

impl Load {
    fn run(self) -> Result<ExitCode> {
        let settings = self.folder.settings()?;
        let checks = settings.checks()?;
        let cards = self.pins.open(&settings, &checks)?;
        let mut running = self.folder.open_with_hsm(&self.unseal)?;
        let kld = &mut running.kld;
        let mut run = kld.current_run()?;
        let limits = LinkLimits::default();
        let mut good = true;
        let mut tell = |at: String, outcome: Result<LoadedTerminal, LoadFailure>| {
            good &= outcome.is_ok();
            if self.json { say!("{}", as_json(&at, &outcome)) } else { show(&at, &outcome) }
        };
        for target in &self.terminals {
            let connect = || Link::connect(target.address(), limits).map_err(LoadFault::Link);
            tell(target.to_string(), kld.load(&mut run, &cards, &checks, target.expected(), connect));
        }
        if let Some(path) = &self.device {
            let line = line(path, self.speed).to_string();
            let connect = || Link::connect(&line, limits).map_err(LoadFault::Link);
            let outcome = kld.load(&mut run, &cards, &checks, self.sn.as_ref(), connect);
            tell(path.display().to_string(), outcome);
        }
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn show(at: &str, outcome: &Result<LoadedTerminal, LoadFailure>) {
    match outcome {
        Ok(loaded) => {
            say!("{at}  {}", loaded.terminal);
            loaded.keys.iter().for_each(|(what, kcv)| say!("  {what}  check value {kcv}"));
        }
        Err(failure) => say!("{at}  {failure}"),
    }
}

fn as_json(at: &str, outcome: &Result<LoadedTerminal, LoadFailure>) -> Value {
    match outcome {
        Ok(loaded) => {
            let keys: Vec<_> = loaded
                .keys
                .iter()
                .map(|(what, kcv)| json!({ "what": what.to_string(), "kcv": kcv.to_string() }))
                .collect();
            json!({ "at": at, "ok": true, "sn": loaded.terminal.sn, "keys": keys })
        }
        Err(failure) => json!({
            "at": at, "ok": false, "sn": failure.terminal.as_ref().map(|terminal| &terminal.sn),
            "code": failure.fault.code(), "served": failure.served, "text": failure.fault.to_string(),
        }),
    }
}

impl Status {
    fn run(self) -> Result<()> {
        let Some(run) = self.folder.open()?.newest_run()? else { bail!("this KLD has had no run yet") };
        let status = run.status();
        if self.json {
            say!("{}", status_json(&status));
            return Ok(());
        }
        let what: Vec<_> = status.what.iter().map(ToString::to_string).collect();
        say!("run      {}, {}", status.run, if status.closed { "closed" } else { "open" });
        say!("loads    {}", what.join(" "));
        say!(
            "{} of {} loaded, {} failed, {} not served, {} attempts refused",
            status.loaded,
            status.listed,
            status.failed.len(),
            status.missing.len(),
            status.refused
        );
        if let Some(why) = &status.stopped {
            say!("STOPPED: {why}; its keys are marked as compromised");
        }
        status.failed.iter().for_each(|terminal| say!("  {terminal}  FAILED; it counts as served"));
        status.missing.iter().for_each(|terminal| say!("  {terminal}  not served"));
        Ok(())
    }
}

fn status_json(status: &RunStatus) -> Value {
    json!({
        "run": status.run,
        "closed": status.closed,
        "stopped": status.stopped,
        "what": status.what.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "listed": status.listed,
        "loaded": status.loaded,
        "failed": status.failed.iter().map(|terminal| &terminal.sn).collect::<Vec<_>>(),
        "missing": status.missing.iter().map(|terminal| &terminal.sn).collect::<Vec<_>>(),
        "refused": status.refused,
    })
}

impl Close {
    fn run(self) -> Result<ExitCode> {
        let settings = self.folder.settings()?;
        let checks = settings.checks()?;
        let cards = self.pins.open(&settings, &checks)?;
        let kld = self.folder.open()?;
        let report = kld.close_run(&cards)?;
        say!("run {} is closed; report {}", report.run, report.path.display());
        match settings.server()? {
            Some(server) if !self.offline => super::report::deliver(&kld, &server),
            _ => {
                say!("carry it to the KMS, then: keyferry kld report carried {}", report.run);
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}
