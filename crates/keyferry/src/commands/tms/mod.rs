//! Terminal management: vendors, their packages, groups of terminals, deployments, operators.

mod deployment;
mod group;
mod operator;
mod package;
mod sign;
mod terminal;
mod vendor;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::Value;
use store::Event;

use crate::time;

/// Who is named in the audit.
const ACTOR: &str = "keyferry tms";

/// Terminal management: which software is on which terminal, and from when.
#[derive(Subcommand)]
pub(crate) enum Tms {
    /// Vendors: their models, whose signatures they make, where their packages are.
    #[command(subcommand)]
    Vendor(vendor::Vendor),
    /// Packages: sign, approve, publish, list, withdraw.
    #[command(subcommand)]
    Package(package::Package),
    /// Deployments: which package for which terminals, from when, in which steps.
    #[command(subcommand)]
    Deployment(deployment::Deployment),
    /// Groups of terminals.
    #[command(subcommand)]
    Group(group::Group),
    /// Operators who work at terminals.
    #[command(subcommand)]
    Operator(operator::Operator),
    /// What a terminal has installed, said last, and was offered.
    Terminal(terminal::OneTerminal),
}

impl Tms {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            match self {
                Self::Vendor(vendor) => vendor.run().await,
                Self::Package(package) => package.run().await,
                Self::Deployment(deployment) => deployment.run().await,
                Self::Group(group) => group.run().await,
                Self::Operator(operator) => operator.run().await,
                Self::Terminal(terminal) => terminal.run().await,
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// An event of one of these commands.
fn event(kind: &'static str, subject: impl Into<String>, detail: Value) -> Event {
    Event::new(time::now_ms(), kind, ACTOR, subject, detail)
}
