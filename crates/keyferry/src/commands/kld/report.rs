use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use station::{
    Server,
    kld::{Kld as Device, ReportResult},
};

use super::Folder;

/// Reports of closed runs.
#[derive(Subcommand)]
pub(crate) enum Report {
    /// Upload the reports that wait.
    Upload(Upload),
    /// Mark a report as delivered that was carried to the KMS by hand.
    Carried(Carried),
}

/// Upload reports.
#[derive(Args)]
pub(crate) struct Upload {
    #[command(flatten)]
    folder: Folder,
}

/// Mark as carried.
#[derive(Args)]
pub(crate) struct Carried {
    #[command(flatten)]
    folder: Folder,
    /// The run.
    run: String,
}

impl Report {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Upload(upload) => {
                let Some(server) = upload.folder.settings()?.server()? else {
                    bail!("kld.toml names no KMS; carry the reports, or add [kms] with url and tls_root")
                };
                deliver(&upload.folder.open()?, &server)
            }
            Self::Carried(carried) => {
                carried.folder.open()?.report_carried(&carried.run)?;
                say!("report of run {} is marked as delivered", carried.run);
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// Uploads the reports that wait.
pub(super) fn deliver(kld: &Device, server: &Server) -> Result<ExitCode> {
    let mut good = true;
    for delivery in kld.upload_reports(server)? {
        say!("report of run {}", delivery.run);
        match delivery.outcome {
            Ok(Some(results)) => {
                good &= results.iter().all(|result| result.ok);
                results.iter().for_each(show);
            }
            Ok(None) => say!("  arrived before"),
            Err(error) => {
                good = false;
                say!("  still waiting: {error}");
            }
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(result: &ReportResult) {
    let said = [result.code.as_deref(), result.text.as_deref()].into_iter().flatten();
    let said: Vec<_> = said.filter(|said| !said.is_empty()).collect();
    say!("  {}  {}  {}", result.sn, if result.ok { "taken" } else { "REFUSED" }, said.join("  "));
}
