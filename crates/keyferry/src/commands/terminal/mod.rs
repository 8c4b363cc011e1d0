mod care;
mod crl;
mod device;
mod line;
mod listen;
mod remote;
mod software;
mod transact;

use std::{cell::Cell, fs, path::PathBuf, process::ExitCode, sync::atomic::Ordering, time::Instant};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use pki::{Certificate, Role};
use serde_json::{Value, json};
use terminal::{
    CutAfter, NewTerminal, Settings, Step, Terminal as Device, TrustedRoot, area::Areas, collect,
    download_over, package::PackageSettings,
};
use wire::{ModelId, Serial, Slot, VendorId};

use line::Server;
use listen::{At, Open, told_to_end};

use super::evidence::OfTerminal;
use crate::{show, time};

/// A software terminal, for trials and tests: its state is a folder.
#[derive(Subcommand)]
pub(crate) enum Terminal {
    /// Make a terminal in production state.
    New(New),
    /// Wait for a station and be collected.
    Collect(Collect),
    /// Download a TMK into a slot.
    Download(Download),
    Listen(listen::Listen),
    Rks(remote::Rks),
    Ask(remote::Ask),
    Tms(software::Tms),
    SignIn(transact::SignIn),
    Pin(transact::EnterPin),
    Mac(transact::MakeMac),
    DeviceRequest(device::DeviceRequest),
    DeviceInstall(device::DeviceInstall),
    Sensor(care::Sensor),
    InstallRoot(care::InstallRoot),
    InstallCrl(crl::InstallCrl),
    Retire(care::Retire),
    Evidence(OfTerminal),
    /// Show serials, state, fingerprint and the check values of its keys.
    Status(Status),
}

/// Make a terminal.
#[derive(Args)]
pub(crate) struct New {
    /// The folder to make.
    folder: PathBuf,
    /// Its serial, 1–32 of A-Z a-z 0-9 - . _
    #[arg(long)]
    sn: Serial,
    /// The external PIN pad's serial; leave it out for a built-in one.
    #[arg(long)]
    pin_pad: Option<Serial>,
    /// Vendor id, up to 8 characters; goes with --model.
    #[arg(long)]
    vendor: Option<VendorId>,
    /// Model id, up to 20 characters.
    #[arg(long)]
    model: Option<ModelId>,
    /// The acquirer's root certificate, burnt into it, PEM; may be repeated.
    #[arg(long = "root", value_name = "FILE", required = true)]
    roots: Vec<PathBuf>,
    /// The vendor's root certificate, PEM: issues repair authorisations and the MTMS's certificate.
    #[arg(long, value_name = "FILE")]
    vendor_root: Option<PathBuf>,
    /// Accept a bare public key in COLLECT, without a certificate. For laboratories only.
    #[arg(long)]
    allow_bare_key: bool,
    /// Install only packages that the acquirer approved too.
    #[arg(long)]
    approval_demanded: bool,
}

/// Be collected.
#[derive(Args)]
pub(crate) struct Collect {
    /// The terminal's folder.
    folder: PathBuf,
    /// Where to listen: ADDRESS:PORT, serial:/dev/ttyS0?baud=115200, or pty:PATH to make a pseudo-terminal with a symbolic
    /// link there.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7802")]
    listen: At,
    /// Go on listening after a collection.
    #[arg(long)]
    keep: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Download a TMK.
#[derive(Args)]
pub(crate) struct Download {
    /// The terminal's folder.
    folder: PathBuf,
    #[command(flatten)]
    server: Server,
    /// The slot to fill, 0–99.
    #[arg(long, value_parser = slot)]
    slot: Slot,
    /// Cut the line after this message, to see what happens: hello, challenge, reply, key, confirm, done.
    #[arg(long, value_parser = step)]
    cut_after: Option<Step>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Show a terminal.
#[derive(Args)]
pub(crate) struct Status {
    /// The terminal's folder.
    folder: PathBuf,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Terminal {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::New(new) => new.run()?,
            Self::Collect(collect) => collect.run()?,
            Self::Download(download) => download.run()?,
            Self::Listen(listen) => listen.run()?,
            Self::Rks(rks) => rks.run()?,
            Self::Ask(ask) => ask.run()?,
            Self::Tms(tms) => tms.run()?,
            Self::SignIn(sign_in) => sign_in.run()?,
            Self::Pin(pin) => pin.run()?,
            Self::Mac(mac) => mac.run()?,
            Self::DeviceRequest(request) => request.run()?,
            Self::DeviceInstall(install) => install.run()?,
            Self::Sensor(sensor) => sensor.run()?,
            Self::Evidence(evidence) => return evidence.run(),
            Self::InstallRoot(install) => install.run()?,
            Self::InstallCrl(install) => install.run()?,
            Self::Retire(retire) => retire.run()?,
            Self::Status(status) => status.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl New {
    fn run(self) -> Result<()> {
        let mut roots = Vec::new();
        for path in &self.roots {
            let mut root = TrustedRoot::of_acquirer(read_certificate(path)?);
            // An acquirer without an MTMS of its own may let its root certify the vendor's.
            root.roles.push(Role::Mtms);
            roots.push(root);
        }
        if let Some(path) = &self.vendor_root {
            roots.push(TrustedRoot::of_vendor(read_certificate(path)?));
        }
        let new = NewTerminal {
            pin_pad: self.pin_pad,
            vendor: self.vendor,
            model: self.model,
            roots,
            settings: Settings {
                allow_bare_key: self.allow_bare_key,
                packages: PackageSettings {
                    approval_demanded: self.approval_demanded,
                    ..PackageSettings::default()
                },
                ..Settings::default()
            },
            ..NewTerminal::named(self.sn)
        };
        let made = Device::new(&self.folder, new)?;
        say!("terminal {} in {}, in production", made.device().sn(), self.folder.display());
        Ok(())
    }
}

impl Collect {
    fn run(self) -> Result<()> {
        let mut device = Device::open(&self.folder)?;
        let told = told_to_end()?;
        let (open, listening) = self.listen.open()?;
        self.say(
            &json!({ "listening": listening, "sn": device.device().sn().as_str() }),
            &format!("terminal {} waits for a station on {listening}", device.device().sn()),
        );
        let collected: Cell<Option<Instant>> = Cell::new(None);
        // Over a bare line, which checks nothing, a station asks twice and compares.
        let lingers = self.listen.lingers();
        let is_done = || collected.get().is_some_and(|at| at.elapsed() >= lingers);
        let stop = || told.load(Ordering::Relaxed) || (!self.keep && is_done());
        let mut show = |event: &collect::Event| match event {
            collect::Event::Connected { peer } => {
                self.say(&json!({ "station": peer.to_string() }), &format!("station at {peer}"));
            }
            collect::Event::Collected { fingerprint, again, .. } => {
                let same = if *again { " (the same as before)" } else { "" };
                self.say(
                    &json!({ "fingerprint": fingerprint, "again": again }),
                    &format!(
                        "collected{same}, fingerprint {fingerprint}; station and KMS must show the same"
                    ),
                );
                collected.set(Some(Instant::now()));
            }
            collect::Event::Refused { reason, .. } => self.failed("refused", reason),
            collect::Event::PeerError { message } => self.failed("the station refused", message),
            collect::Event::LinkFailed { reason } => self.failed("the line failed", reason),
            collect::Event::LineGone { line } => self.failed("unplugged", line),
            collect::Event::LineBack { line } => {
                self.say(&json!({ "line_back": line }), &format!("{line} is back"));
            }
        };
        match open {
            Open::Network(listener) => collect::serve(&listener, &mut device, &stop, &mut show)?,
            Open::Line(mut port) => collect::serve_line(&mut port, &mut device, &stop, &mut show)?,
        }
        Ok(())
    }

    fn say(&self, json: &Value, text: &str) {
        if self.json { say!("{json}") } else { say!("{text}") }
    }

    fn failed(&self, what: &str, why: &dyn std::fmt::Display) {
        self.say(&json!({ "failed": format!("{what}: {why}") }), &format!("{what}: {why}"));
    }
}

impl Download {
    fn run(self) -> Result<()> {
        let mut device = Device::open(&self.folder)?;
        let link = self.server.link()?;
        let began = Instant::now();
        let (done, _) = download_over(&mut device, link, self.slot, self.cut_after.map(CutAfter))?;
        if self.json {
            let ms = began.elapsed().as_secs_f64() * 1000.0;
            say!("{}", json!({ "slot": done.slot.index(), "kcv": done.kcv.to_string(), "ms": ms }));
        } else {
            say!("slot {:02}: TMK with check value {}", done.slot.index(), done.kcv);
        }
        Ok(())
    }
}

impl Status {
    fn run(self) -> Result<()> {
        let device = Device::open(&self.folder)?;
        let status = device.status();
        let areas = Areas::in_folder(&self.folder)?;
        let packages: Vec<_> = areas.installed().map(ToString::to_string).collect();
        if self.json {
            let mut document = serde_json::to_value(&status)?;
            document["packages"] = json!(packages);
            say!("{}", serde_json::to_string_pretty(&document)?);
            return Ok(());
        }
        say!("serial       {}", status.sn);
        say!("PIN pad      {}", status.pin_pad.as_deref().unwrap_or("built in"));
        if let (Some(vendor), Some(model)) = (&status.vendor, &status.model) {
            say!("model        {vendor} {model}");
        }
        say!("state        {}", status.life_cycle);
        match &status.collected {
            Some(collected) => say!("collected    fingerprint {}", collected.fingerprint),
            None => say!("collected    not yet"),
        }
        say!("known time   {}", time::text(status.last_known_time));
        let rows: Vec<_> = status
            .slots
            .iter()
            .map(|slot| {
                let confirmed = if slot.done { "confirmed" } else { "DONE not seen yet" };
                let kcv = |kcv: &Option<String>| kcv.clone().unwrap_or_default();
                vec![
                    format!("{:02}", slot.slot),
                    slot.kcv.clone(),
                    confirmed.to_owned(),
                    kcv(&slot.previous_kcv),
                    kcv(&slot.pik_kcv),
                    kcv(&slot.mak_kcv),
                    kcv(&slot.tdk_kcv),
                ]
            })
            .collect();
        show::table(&["slot", "KCV", "state", "old KCV", "PIN key", "MAC key", "track key"], &rows);
        for (name, place) in [("DIK2", &status.dik2), ("DMK", &status.dmk)] {
            if let Some(place) = place {
                say!("{name:<12} check value {}", place.kcv);
            }
        }
        for package in &packages {
            say!("installed    {package}");
        }
        for refusal in &status.refusals.records {
            say!("refused      {}  {}: {}", time::text(refusal.when), refusal.check, refusal.reading);
        }
        Ok(())
    }
}

fn read_certificate(path: &PathBuf) -> Result<Certificate> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Certificate::from_pem(&text).with_context(|| path.display().to_string())
}

fn slot(text: &str) -> Result<Slot, String> {
    let index = text.parse().map_err(|_| "a slot is a number from 0 to 99".to_owned())?;
    Slot::new(index).map_err(|e| e.to_string())
}

fn step(text: &str) -> Result<Step, String> {
    match text {
        "hello" => Ok(Step::Hello),
        "challenge" => Ok(Step::Challenge),
        "reply" => Ok(Step::Reply),
        "key" => Ok(Step::Key),
        "confirm" => Ok(Step::Confirm),
        "done" => Ok(Step::Done),
        _ => Err("one of hello, challenge, reply, key, confirm, done".into()),
    }
}
