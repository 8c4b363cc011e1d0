mod import;
mod report;
mod run;
mod settings;
mod setup;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Args, Subcommand};
use hsm_soft::Duty;
use station::{
    BothCards, Checks,
    kld::{Kld as Device, KldHsm},
};
use tokio::runtime::Runtime;

use crate::{hsm_child::HsmChild, secret::Source};
use settings::Settings;

/// The key loading device: load keys into terminals by cable, under two cards.
#[derive(Subcommand)]
pub(crate) enum Kld {
    /// Make a KLD's folder with an HSM of its own.
    Init(setup::Init),
    /// Make its key pair and the request for its certificate.
    Request(setup::Request),
    /// Install its downloader certificate.
    Install(setup::Install),
    /// Take a revocation list that was carried here.
    Crl(setup::TakeCrl),
    /// Show its certificate and the check values of its keys.
    Status(setup::Status),
    /// Take a key under both cards: exchange key, DIK1, TMK, DMK.
    #[command(subcommand)]
    Import(import::Import),
    /// Runs: open, load, status, close.
    #[command(subcommand)]
    Run(run::Run),
    /// Reports of closed runs: upload, or mark as carried.
    #[command(subcommand)]
    Report(report::Report),
}

/// Which KLD.
#[derive(Args)]
pub(crate) struct Folder {
    /// The KLD's folder.
    #[arg(long = "kld", value_name = "DIR", default_value = "kld")]
    folder: PathBuf,
}

/// How its HSM is unsealed.
#[derive(Args)]
pub(crate) struct Unseal {
    /// Read the HSM's passphrase from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    hsm_passphrase_file: Option<PathBuf>,
}

/// How both cards are opened.
#[derive(Args)]
pub(crate) struct Pins {
    /// Read the operator card's PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    operator_pin_file: Option<PathBuf>,
    /// Read the administrator card's PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    administrator_pin_file: Option<PathBuf>,
}

impl Kld {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Init(init) => init.run()?,
            Self::Request(request) => request.run()?,
            Self::Install(install) => install.run()?,
            Self::Crl(crl) => crl.run()?,
            Self::Status(status) => status.run()?,
            Self::Import(import) => import.run()?,
            Self::Run(run) => return run.run(),
            Self::Report(report) => return report.run(),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Folder {
    fn settings(&self) -> Result<Settings> {
        Settings::read(&self.folder)
    }

    /// The KLD without its HSM.
    fn open(&self) -> Result<Device> {
        Ok(Device::open_without_hsm(&self.folder)?)
    }

    /// The KLD with its HSM, which runs until this is dropped.
    fn open_with_hsm(&self, unseal: &Unseal) -> Result<Running> {
        let socket = self.folder.join("run/hsm.sock");
        super::server::make_private_folder(&socket)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let passphrase = Source::file(unseal.hsm_passphrase_file.clone());
        let hsm = self.folder.join("hsm");
        let child = runtime.block_on(HsmChild::start_on_duty(Duty::Kld, &hsm, &socket, &passphrase))?;
        let line = KldHsm::new(child.client.clone(), runtime.handle().clone());
        Ok(Running { kld: Device::open(&self.folder, line)?, _child: child, _runtime: runtime })
    }
}

/// A KLD and its HSM process. The fields end in this order.
struct Running {
    kld: Device,
    _child: HsmChild,
    _runtime: Runtime,
}

impl Pins {
    fn open(&self, settings: &Settings, checks: &Checks) -> Result<BothCards> {
        let (operator, administrator) = (self.operator_pin_file.clone(), self.administrator_pin_file.clone());
        settings.both_cards()?.open(operator, administrator, checks)
    }
}
