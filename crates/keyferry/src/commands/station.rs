use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use flows::EcAes;
use pki::Certificate;
use serde_json::{Value, json};
use station::{
    AdministratorCard, Bar, BothCards, Checks, CollectSettings, CollectedTerminal, CollectionRun, Journal,
    Progress, Quiet, StationSuite, Target, WorkCertificate,
    approve::{self, Decision},
    collect, pack_collected,
    ports::Links,
    upload_waiting,
};
use wire::Serial;

use super::{
    allow_suite::AllowSuite,
    cards,
    console::Console,
    device::Device,
    evidence::OfStation,
    journal::JournalCommand,
    packages::{self, Deliver, Pack, Passphrase},
    ports::{Ports, plugged},
    repair::Repair,
    suite::SuiteName,
    window::Window,
};
use crate::show;

pub(super) use super::station_settings::Settings;

/// The operator station: collect transport keys under two cards, upload them.
#[derive(Subcommand)]
pub(crate) enum Station {
    /// Collect terminals, pack, sign and upload.
    Collect(Collect),
    /// Upload packages that wait.
    Upload(Deliver),
    Pack(Pack),
    Journal(JournalCommand),
    Ports(Ports),
    /// List replacements that wait for a second person.
    Replacements(Config),
    /// Approve a replacement with the administrator card.
    Approve(Decide),
    /// Reject a replacement with the administrator card.
    Reject(Decide),
    AllowSuite(AllowSuite),
    Console(Console),
    Evidence(OfStation),
    /// Bring a repair authorisation to a deployed or tampered terminal: it wipes every key and enters repair.
    Repair(Repair),
    /// Device certificates of terminals' PIN pads.
    #[command(subcommand)]
    Device(Device),
    /// Windows in which terminals may ask the server to collect them.
    #[command(subcommand)]
    Window(Window),
}

/// Which station.
#[derive(Args)]
pub(crate) struct Config {
    /// The station's configuration file that `keyferry init` wrote.
    #[arg(long, default_value = "station.toml")]
    pub(super) config: PathBuf,
}

/// Both cards' PINs.
#[derive(Args)]
pub(super) struct BothPins {
    /// Read the operator card's PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    operator_pin_file: Option<PathBuf>,
    /// Read the administrator card's PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    administrator_pin_file: Option<PathBuf>,
}

impl BothPins {
    /// Opens both cards of the station.
    pub(super) fn open(&self, settings: &Settings, checks: &Checks) -> Result<BothCards> {
        let both = settings.both_cards()?;
        both.open(self.operator_pin_file.clone(), self.administrator_pin_file.clone(), checks)
    }
}

/// Collect terminals.
#[derive(Args)]
pub(crate) struct Collect {
    #[command(flatten)]
    config: Config,
    /// A terminal's address, host:port or serial:/dev/ttyUSB0?baud=115200, with SERIAL@ before it to be sure whose it is;
    /// may be repeated.
    #[arg(long = "terminal", value_name = "ADDRESS")]
    terminals: Vec<Target>,
    /// Collect what is plugged in at the serial ports of the configuration's `[links]`.
    #[arg(long)]
    plugged: bool,
    /// A file of terminals' addresses, one a line.
    #[arg(long, value_name = "FILE")]
    terminals_file: Option<PathBuf>,
    /// A file of the serials that may be collected, one a line.
    #[arg(long, value_name = "FILE")]
    serials: Option<PathBuf>,
    /// The terminals are known already and their new keys are to replace the old: a second person must approve.
    #[arg(long)]
    replace: bool,
    /// Keep the package in the journal and do not upload it now.
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    passphrase: Passphrase,
    #[command(flatten)]
    pins: BothPins,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Decide on a replacement.
#[derive(Args)]
pub(crate) struct Decide {
    #[command(flatten)]
    config: Config,
    /// The replacement's number, from `keyferry station replacements`.
    id: i64,
    /// The fingerprint that the terminal displays: what you approve.
    #[arg(long)]
    fingerprint: String,
    /// Read the administrator card's PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    administrator_pin_file: Option<PathBuf>,
}

impl Station {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Collect(collect) => collect.run(),
            Self::Upload(upload) => upload.run(),
            Self::Pack(pack) => pack.run(),
            Self::Ports(ports) => ports.run(),
            Self::Journal(journal) => journal.run(),
            Self::Replacements(config) => replacements(&Settings::read(&config.config)?),
            Self::Approve(decide) => decide.run(Decision::Replace),
            Self::Reject(decide) => decide.run(Decision::Reject),
            Self::Console(console) => console.run(),
            Self::AllowSuite(allow) => allow.run(),
            Self::Evidence(evidence) => evidence.run(),
            Self::Repair(repair) => repair.run(),
            Self::Device(device) => device.run(),
            Self::Window(window) => window.run(),
        }
    }
}

impl Collect {
    fn run(self) -> Result<ExitCode> {
        let settings = Settings::read(&self.config.config)?;
        let targets = self.targets(&settings.links)?;
        let journal = settings.journal(&self.passphrase)?;
        let checks = settings.checks()?;
        let cards = self.pins.open(&settings, &checks)?;
        // The work certificate's key says which suite the terminals are collected in.
        let work = settings.work_certificate()?;
        match SuiteName::of_key(Certificate::from_pem(&work)?.spki_der())? {
            SuiteName::Tdes => {
                let work = WorkCertificate::from_pem(&work, &checks)?;
                self.collect_under(&settings, &cards, &work, &targets, &journal)
            }
            SuiteName::EcAes => {
                let ceremony = settings.ceremony(&cards)?;
                let work = WorkCertificate::<EcAes>::from_pem_under(ceremony, &work, &checks)?;
                self.collect_under(&settings, &cards, &work, &targets, &journal)
            }
        }
    }

    fn collect_under<S: StationSuite>(
        &self,
        settings: &Settings,
        cards: &BothCards,
        work: &WorkCertificate<S>,
        targets: &[Target],
        journal: &Journal,
    ) -> Result<ExitCode> {
        let how = CollectSettings {
            parallel: settings.collect.parallel,
            allowed: self.serials.as_deref().map(read_serials).transpose()?,
            replaces: self.replace,
            ..CollectSettings::default()
        };
        let bar: &dyn Progress = if self.json { &Quiet } else { &Bar::new() };
        let run = collect(cards, work, targets, &how, journal, bar)?;
        if !self.json {
            self.show_run(cards, &run);
        }
        let mut complete = run.failed.is_empty() && run.missing.is_empty() && !run.collected.is_empty();
        // Also what an earlier run left, which a crash or a card that was taken out ended.
        let packing = match pack_collected(journal, cards, &settings.name) {
            Ok(packing) => packing,
            Err(error) => return self.not_packed(&run, journal, error),
        };
        complete &= packing.withdrawn.is_empty();
        let mut deliveries = Vec::new();
        if !self.json {
            packages::show_packing(&packing);
        }
        if !packing.packed.is_empty() {
            if !self.offline {
                deliveries = upload_waiting(&settings.server()?, journal);
                complete &= deliveries.iter().all(packages::is_good);
            } else if !self.json {
                say!(
                    "kept; upload it with: keyferry station upload --config {}",
                    self.config.config.display()
                );
            }
        }
        if self.json {
            let mut document = run_json(&run);
            document["packing"] = packages::packing_json(&packing);
            document["uploads"] = deliveries.iter().map(packages::delivery_json).collect();
            say!("{document}");
        } else {
            packages::show_deliveries(&deliveries, false);
        }
        Ok(exit(complete))
    }

    /// What a run brought is told even where it cannot be packed now, as when a card went.
    fn not_packed<S: StationSuite>(
        &self,
        run: &CollectionRun<S>,
        journal: &Journal,
        error: station::Error,
    ) -> Result<ExitCode> {
        if self.json {
            let mut document = run_json(run);
            document["error"] = error.to_string().into();
            say!("{document}");
            return Ok(ExitCode::FAILURE);
        }
        if journal.unpacked().is_empty() {
            return Err(error.into());
        }
        Err(error).with_context(|| {
            let config = self.config.config.display();
            format!(
                "what was collected is in the journal; pack it with: keyferry station pack --config {config}"
            )
        })
    }

    fn show_run<S: StationSuite>(&self, cards: &BothCards, run: &CollectionRun<S>) {
        say!("operator       {}", cards.operator().subject());
        say!("administrator  {}", cards.administrator().subject());
        let row = |terminal: &CollectedTerminal<S>| {
            vec![terminal.device().sn().to_string(), terminal.fingerprint()]
        };
        show::table(&["serial", "fingerprint"], &run.collected.iter().map(row).collect::<Vec<_>>());
        say!("{} collected, {} failed, {} missing", run.collected.len(), run.failed.len(), run.missing.len());
        for failed in &run.failed {
            say!("  {failed}");
        }
        for missing in &run.missing {
            say!("  {missing}  MISSING: on the list, and not collected");
        }
    }

    fn targets(&self, links: &Links) -> Result<Vec<Target>> {
        let mut targets = self.terminals.clone();
        if let Some(path) = &self.terminals_file {
            for line in lines(path)? {
                targets.push(line.parse()?);
            }
        }
        if self.plugged {
            targets.extend(plugged(links)?);
        }
        if targets.is_empty() {
            bail!("name at least one terminal: --terminal HOST:PORT, --terminals-file FILE or --plugged");
        }
        Ok(targets)
    }
}

/// What a run brought.
fn run_json<S: StationSuite>(run: &CollectionRun<S>) -> Value {
    json!({
        "collected": run.collected.iter().map(|t| {
            json!({ "sn": t.device().sn().as_str(), "fingerprint": t.fingerprint() })
        }).collect::<Vec<_>>(),
        "failed": run.failed.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "missing": run.missing.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

pub(super) fn exit(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replacements(settings: &Settings) -> Result<ExitCode> {
    let waiting = approve::replacements(&settings.server()?)?;
    let rows: Vec<_> = waiting
        .iter()
        .map(|r| {
            vec![
                r.id.to_string(),
                r.sn.to_string(),
                r.fingerprint.clone(),
                r.batch.as_ref().map_or("a station".into(), |b| format!("{} for {}", b.vendor, b.order)),
                r.signer.clone(),
                r.collected_at.clone(),
            ]
        })
        .collect();
    show::table(&["id", "serial", "new fingerprint", "asked by", "signed by", "at"], &rows);
    Ok(ExitCode::SUCCESS)
}

impl Decide {
    fn run(self, decision: Decision) -> Result<ExitCode> {
        let settings = Settings::read(&self.config.config)?;
        let server = settings.server()?;
        let waiting = approve::replacements(&server)?;
        let Some(replacement) = waiting.iter().find(|r| r.id == self.id) else {
            bail!("replacement {} does not wait; list them with `keyferry station replacements`", self.id);
        };
        if !replacement.fingerprint.eq_ignore_ascii_case(&self.fingerprint) {
            bail!(
                "the fingerprint you gave is not that of replacement {}: somebody's key was replaced, or you mistyped. \
                 Read it from the terminal's own display, and approve nothing before you know why",
                self.id
            );
        }
        let face = settings.administrator_card()?;
        let pin = cards::pin(face.as_ref(), "administrator card", self.administrator_pin_file)?;
        let card = AdministratorCard::open(face, &pin, &settings.checks()?)?;
        approve::decide(&server, &card, replacement, decision)?;
        say!("{}: done", replacement.sn);
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn read_serials(path: &Path) -> Result<Vec<Serial>> {
    lines(path)?.iter().map(|line| Ok(Serial::parse(line)?)).collect()
}

/// Lines of a file without comments and blank ones.
fn lines(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let kept = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(kept.map(str::to_owned).collect())
}
