use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use station::{
    LinkLimits, Target,
    device::{self, DeviceCertificate, DeviceFault},
    link::{DEFAULT_SPEED, Link, LinkError},
};
use wire::{Serial, SerialAddress};

use super::station::{Config, Settings};
use crate::files::write;

/// Device certificates: of the key that a PIN pad made at production.
#[derive(Subcommand)]
pub(crate) enum Device {
    /// Fetch a PIN pad's request, for `keyferry ca issue --role device`.
    Request(Request),
    /// Bring a PIN pad the certificate that the CA issued.
    Install(Install),
}

/// Where the terminal is.
#[derive(Args)]
struct At {
    /// The terminal's address, host:port or serial:/dev/ttyUSB0?baud=115200; with SERIAL@ before it to be sure whose it
    /// is.
    #[arg(long, value_name = "ADDRESS", required_unless_present = "device")]
    terminal: Option<Target>,
    /// A serial line or pseudo-terminal that the terminal is at.
    #[arg(long, value_name = "PATH", conflicts_with = "terminal")]
    device: Option<PathBuf>,
    /// The line's speed, bits per second; always 8 bits, no parity, one stop bit.
    #[arg(long, default_value_t = DEFAULT_SPEED, requires = "device", conflicts_with = "terminal")]
    speed: u32,
    /// The serial that must answer at the line.
    #[arg(long, requires = "device", conflicts_with = "terminal")]
    sn: Option<Serial>,
}

/// Fetch a request.
#[derive(Args)]
pub(crate) struct Request {
    #[command(flatten)]
    at: At,
    /// Where the request goes, PKCS #10 in PEM.
    #[arg(long)]
    out: PathBuf,
}

/// Bring a certificate.
#[derive(Args)]
pub(crate) struct Install {
    #[command(flatten)]
    config: Config,
    #[command(flatten)]
    at: At,
    /// The device certificate, and its intermediates behind it, PEM.
    #[arg(long)]
    certificate: PathBuf,
}

impl Device {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Request(request) => request.run()?,
            Self::Install(install) => install.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Request {
    fn run(self) -> Result<()> {
        let request =
            device::request(self.at.expected(), || self.at.open()).map_err(|fault| self.at.failed(&fault))?;
        write(&self.out, &request.pem(), 0o644)?;
        let (sn, pin_pad) = (request.device().sn(), request.device().pin_pad());
        say!("{sn}  PIN pad {pin_pad}  request {}", self.out.display());
        say!("compare the serial with the plate, then: keyferry ca issue --role device --pin-pad {pin_pad}");
        Ok(())
    }
}

impl Install {
    fn run(self) -> Result<()> {
        let checks = Settings::read(&self.config.config)?.checks()?;
        let text = fs::read_to_string(&self.certificate)
            .with_context(|| format!("cannot read {}", self.certificate.display()))?;
        let certificate =
            DeviceCertificate::from_pem(&text, &checks).map_err(|fault| self.at.failed(&fault))?;
        let device = device::install(&certificate, self.at.expected(), || self.at.open())
            .map_err(|fault| self.at.failed(&fault))?;
        say!("{} has its device certificate {}", device.sn(), certificate.certificate().serial_hex());
        Ok(())
    }
}

impl At {
    fn expected(&self) -> Option<&Serial> {
        self.terminal.as_ref().map_or(self.sn.as_ref(), Target::expected)
    }

    /// The link, or why there is none.
    fn open(&self) -> Result<Link, LinkError> {
        let address = match (&self.terminal, &self.device) {
            (Some(target), _) => target.address().to_owned(),
            (None, path) => line(path.as_deref().unwrap_or(Path::new("")), self.speed).to_string(),
        };
        Link::connect(&address, LinkLimits::default())
    }

    fn failed(&self, fault: &DeviceFault) -> anyhow::Error {
        let at = match (&self.terminal, &self.device) {
            (Some(target), _) => target.to_string(),
            (None, Some(path)) => path.display().to_string(),
            (None, None) => String::new(),
        };
        anyhow!("{at}: {fault} -> {}", fault.advice())
    }
}

/// A line that is named by its path and a speed of its own.
pub(super) fn line(path: &Path, speed: u32) -> SerialAddress {
    SerialAddress { path: path.to_string_lossy().into_owned(), baud: speed }
}
