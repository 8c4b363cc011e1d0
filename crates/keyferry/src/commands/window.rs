use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use station::{
    AdministratorCard, OperatorCard,
    windows::{MAX_HOURS, WindowRequest},
};
use wire::Serial;

use super::{
    cards,
    station::{Config, Settings, read_serials},
};

/// Collection windows.
#[derive(Subcommand)]
pub(crate) enum Window {
    /// Ask for windows with the operator card; the request is kept as a file.
    Ask(Ask),
    /// Open the windows of a request with the administrator card.
    Open(Open),
}

/// Ask for windows.
#[derive(Args)]
pub(crate) struct Ask {
    #[command(flatten)]
    config: Config,
    /// A file of the serials that may ask, one a line.
    #[arg(long, value_name = "FILE", required_unless_present = "sn", conflicts_with = "sn")]
    serials: Option<PathBuf>,
    /// The serial of a terminal that may ask; several may be named.
    #[arg(long, value_name = "SERIAL", num_args = 1..)]
    sn: Vec<Serial>,
    /// Hours from now after which the windows close.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_HOURS)))]
    hours: u32,
    /// Write the signed request here; bring it to the administrator.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Read the operator card's PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    operator_pin_file: Option<PathBuf>,
}

/// Open windows.
#[derive(Args)]
pub(crate) struct Open {
    #[command(flatten)]
    config: Config,
    /// The operator's signed request.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// Read the administrator card's PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    administrator_pin_file: Option<PathBuf>,
}

impl Window {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Ask(ask) => ask.run(),
            Self::Open(open) => open.run(),
        }
    }
}

impl Ask {
    fn run(self) -> Result<ExitCode> {
        let settings = Settings::read(&self.config.config)?;
        if self.out.exists() {
            bail!("{} is there already; name another file", self.out.display());
        }
        let serials = match &self.serials {
            Some(path) => read_serials(path)?,
            None => self.sn,
        };
        let checks = settings.checks()?;
        let face = settings.operator_card()?;
        let pin = cards::pin(face.as_ref(), "operator card", self.operator_pin_file)?;
        let card = OperatorCard::open(face, &pin, &checks)?;
        let request = WindowRequest::sign(&card, &serials, self.hours)?;
        request.save(&self.out)?;
        show(&request);
        say!("request    {}", self.out.display());
        say!("nothing is open yet: an administrator opens it with `keyferry station window open`");
        Ok(ExitCode::SUCCESS)
    }
}

impl Open {
    fn run(self) -> Result<ExitCode> {
        let settings = Settings::read(&self.config.config)?;
        let server = settings.server()?;
        let checks = settings.checks()?;
        let request = WindowRequest::load(&self.request, &checks)?;
        let face = settings.administrator_card()?;
        request.check_second_person(face.certificate())?;
        // The PIN is the administrator's yes: what it is said to stands above the question.
        show(&request);
        let pin = cards::pin(face.as_ref(), "administrator card", self.administrator_pin_file)?;
        let card = AdministratorCard::open(face, &pin, &checks)?;
        say!("{}", request.open(&server, &card)?);
        Ok(ExitCode::SUCCESS)
    }
}

fn show(request: &WindowRequest) {
    say!("asked by   {}", request.asked_by());
    say!("open until {}", request.expires_at());
    say!("terminals  {}", request.serials().len());
    for sn in request.serials() {
        say!("  {sn}");
    }
}
