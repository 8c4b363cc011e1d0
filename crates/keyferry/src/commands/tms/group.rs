use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use store::TmsStore as _;
use wire::Serial;

use super::{super::kms::Estate, event};
use crate::show;

/// Groups of terminals, for deployments.
#[derive(Subcommand)]
pub(crate) enum Group {
    /// Put terminals into a group, or take them out; a group is there while it has terminals.
    Change(Change),
    /// List groups.
    List(Estate),
}

/// Change a group.
#[derive(Args)]
pub(crate) struct Change {
    #[command(flatten)]
    estate: Estate,
    /// The group's name.
    name: String,
    /// A serial to put in; may be repeated.
    #[arg(long, value_name = "SERIAL")]
    add: Vec<Serial>,
    /// Serials to put in, one a line.
    #[arg(long, value_name = "FILE")]
    add_file: Option<PathBuf>,
    /// A serial to take out; may be repeated.
    #[arg(long, value_name = "SERIAL")]
    remove: Vec<Serial>,
}

impl Group {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Self::Change(change) => change.run().await,
            Self::List(estate) => {
                let rows: Vec<_> = estate.open()?.1.groups().await?;
                let rows: Vec<_> =
                    rows.into_iter().map(|(name, count)| vec![name, count.to_string()]).collect();
                show::table(&["group", "terminals"], &rows);
                Ok(())
            }
        }
    }
}

impl Change {
    async fn run(mut self) -> Result<()> {
        if let Some(path) = &self.add_file {
            self.add.extend(serials(path)?);
        }
        if self.add.is_empty() && self.remove.is_empty() {
            bail!("name terminals with --add, --add-file or --remove");
        }
        let (_, store) = self.estate.open()?;
        let detail = json!({ "added": self.add.len(), "removed": self.remove.len() });
        let (added, removed) = (self.add.len(), self.remove.len());
        let event = event("tms.group-changed", self.name.as_str(), detail);
        store.set_group(&self.name, self.add, self.remove, event).await?;
        say!("group {}: {added} put in, {removed} taken out", self.name);
        Ok(())
    }
}

/// Serials from a file, one a line; empty lines are skipped.
pub(super) fn serials(path: &PathBuf) -> Result<Vec<Serial>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = (1..).zip(text.lines()).map(|(number, line)| (number, line.trim()));
    let parse = |(number, line): (usize, &str)| {
        Serial::parse(line).with_context(|| format!("{}, line {number}", path.display()))
    };
    lines.filter(|(_, line)| !line.is_empty()).map(parse).collect()
}
