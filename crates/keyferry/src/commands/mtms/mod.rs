//! The vendor's MTMS: what it is set up with, and what it hands to acquirers.

mod dispatch;
mod init;
mod partner;
mod report;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use station::diagnosis::Hop;

use super::{
    evidence::OfServer,
    order::Order,
    work_key::{Of, WorkKeyInstall, WorkKeyRequest},
};

/// The vendor's material tracking system: production orders, their terminals' keys, and which KMS gets them.
#[derive(Subcommand)]
pub(crate) enum Mtms {
    Init(init::Init),
    WorkKeyRequest(WorkKeyRequest),
    WorkKeyInstall(WorkKeyInstall),
    /// Production orders: which terminals are collected, and for whom.
    #[command(subcommand)]
    Order(Order),
    Dispatch(dispatch::Dispatch),
    Report(report::ReportOf),
    History(report::History),
    Evidence(OfServer),
}

impl Mtms {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
        match self {
            Self::Init(init) => init.run()?,
            Self::WorkKeyRequest(request) => runtime()?.block_on(request.run(Of::Mtms))?,
            Self::WorkKeyInstall(install) => runtime()?.block_on(install.run(Of::Mtms))?,
            Self::Order(order) => runtime()?.block_on(order.run())?,
            Self::Dispatch(dispatch) => return runtime()?.block_on(dispatch.run()),
            Self::Report(report) => runtime()?.block_on(report.run())?,
            Self::History(history) => runtime()?.block_on(history.run())?,
            Self::Evidence(evidence) => runtime()?.block_on(evidence.run(Hop::Mtms))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
