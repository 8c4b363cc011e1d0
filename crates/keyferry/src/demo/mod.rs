//! The whole story on a temporary folder, with real processes and sockets: what a newcomer sees first, and what shows
//! after a change that everything still holds together.

mod attacks;
mod cable;
mod ceremony;
mod chapters;
mod estate;
mod factory;
mod forged_batch;
mod forgery;
mod pins;
mod posp;
mod removal;
mod report;
mod software;
mod story;
mod stutter;
mod terminals;
mod tokens;
mod tool;
mod vendor_site;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::Args;

use report::Report;

use crate::commands::suite::SuiteName;

/// Show the whole story on a temporary folder: collect terminals under two cards, download their keys, break things.
#[derive(Args)]
pub(crate) struct Demo {
    /// How many terminals.
    #[arg(long, default_value_t = 20)]
    terminals: usize,
    /// The suite of the whole estate: 2 is EC and AES, 1 is TDES and RSA.
    #[arg(long, default_value_t = SuiteName::EcAes)]
    suite: SuiteName,
    /// What the operator's and the administrator's card are: files, or two real PKCS #11 tokens of SoftHSM 2, of which one
    /// is then pulled out in the middle of a collection.
    #[arg(long, value_enum, default_value_t = tokens::CardKind::File)]
    cards: tokens::CardKind,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// Keep the estate in this folder and print the next commands to try.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Every terminal is a process while it is collected.
const MOST_TERMINALS: usize = 2000;

impl Demo {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if !(1..=MOST_TERMINALS).contains(&self.terminals) {
            bail!("--terminals takes 1 to {MOST_TERMINALS}");
        }
        if self.cards == tokens::CardKind::Softhsm {
            tokens::module()?;
        }
        let folder = estate::Folder::make(self.keep.as_deref())?;
        let mut report = Report::new(self.json);
        let told = story::tell(folder.path(), self.terminals, self.suite, self.cards, &mut report);
        if let Err(error) = &told {
            // The story broke off: that is a finding like any other, and the folder may tell why.
            report.check("story-told-to-its-end", false, &crate::out::with_causes(error));
        }
        let good = report.finish();
        if self.keep.is_some() {
            estate::print_next_commands(folder.path(), self.json);
        }
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
