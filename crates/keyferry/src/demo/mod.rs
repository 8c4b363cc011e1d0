//! The whole story on a temporary folder, with real processes and sockets.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

/// Show the whole story on a temporary folder.
#[derive(Args)]
pub(crate) struct Demo {}

impl Demo {
    pub(crate) fn run(self) -> Result<ExitCode> {
        Ok(ExitCode::SUCCESS)
    }
}
