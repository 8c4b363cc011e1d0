//! Software and parameters from the TMS, and TMKs that come the same way.

use std::{
    io,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};
use clap::Args;
use flows::tms_session::OperatorPassword;
use serde_json::json;
use terminal::{
    Terminal as Device,
    area::{Areas, Running},
    tms::{Progress, UpdateOptions, Updated, load_key, update},
};
use wire::{OperatorId, Slot};
use zeroize::Zeroizing;

use super::{line::Server, slot};
use crate::secret::Source;

/// Ask the TMS what to load, load and start it, and report. Run again after a broken line, it goes on where it stood.
#[derive(Args)]
pub(crate) struct Tms {
    /// The terminal's folder.
    folder: PathBuf,
    #[command(flatten)]
    server: Server,
    /// Fetch a TMK into this slot instead (transaction 0001), 0–99.
    #[arg(long, value_parser = slot, conflicts_with_all = ["cut_after", "start_command"])]
    slot: Option<Slot>,
    /// The operator who works at the terminal, where the acquirer demands one.
    #[arg(long, value_name = "ID")]
    operator: Option<OperatorId>,
    /// Read the operator's password from this file (mode 0600) instead of asking for it.
    #[arg(long, value_name = "FILE", requires = "operator")]
    password_file: Option<PathBuf>,
    /// Starts what is new: a program that is given the names and versions of the packages; where it fails, the terminal
    /// goes back to what ran before.
    #[arg(long, value_name = "PROGRAM")]
    start_command: Option<PathBuf>,
    /// Cut the line after so many messages, to see what happens.
    #[arg(long, value_name = "MESSAGES")]
    cut_after: Option<u64>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Tms {
    pub(super) fn run(self) -> Result<()> {
        let mut device = Device::open(&self.folder)?;
        let password = match &self.operator {
            Some(_) => Source::file(self.password_file.clone()).read("operator password")?,
            None => Zeroizing::default(),
        };
        let operator = self.operator.clone().map(|id| OperatorPassword { id, password: password.as_bytes() });
        if let Some(slot) = self.slot {
            let (loaded, _) = load_key(&mut device, self.server.link()?, slot, operator.as_ref())?;
            let (slot, kcv) = (loaded.slot.index(), loaded.kcv.to_string());
            if self.json {
                say!("{}", json!({ "slot": slot, "kcv": kcv }));
            } else {
                say!("slot {slot:02}: TMK with check value {kcv}");
            }
            return Ok(());
        }
        let mut areas = Areas::in_folder(&self.folder)?;
        let mut connect =
            || self.server.link().map_err(|error| io::Error::other(crate::out::with_causes(&error)));
        let mut progress = |progress: Progress<'_>| self.tell(progress);
        let mut start = |running: &Running<'_>| self.start(running);
        let options = UpdateOptions {
            operator,
            progress: Some(&mut progress),
            start: Some(&mut start),
            cut_after: self.cut_after,
        };
        let updated = update(&mut device, &mut areas, &mut connect, options)?;
        self.show(&updated)
    }

    /// To people only: a program waits for the end.
    fn tell(&self, progress: Progress<'_>) {
        if self.json {
            return;
        }
        match progress {
            Progress::Planned { packages, bytes } if packages > 0 => {
                say!("{packages} to load, {bytes} bytes are missing");
            }
            Progress::Received { package, have, size } if have == size => {
                say!("{package}: {size} bytes are here");
            }
            Progress::Refused { package, why } => say!("{package} is refused: {why}"),
            _ => {}
        }
    }

    fn start(&self, running: &Running<'_>) -> Result<(), String> {
        let Some(program) = &self.start_command else { return Ok(()) };
        let mut command = Command::new(program);
        command.args(running.installed().map(ToString::to_string)).stdin(Stdio::null()).stdout(Stdio::null());
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the start command ended with {status}")),
            Err(error) => Err(format!("the start command cannot be run: {error}")),
        }
    }

    fn show(&self, updated: &Updated) -> Result<()> {
        let refused = |id: &wire::PackageId, why: &dyn std::fmt::Display| json!({ "package": id.to_string(), "why": why.to_string() });
        if self.json {
            let document = json!({
                "installed": updated.installed.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "refused": updated.refused.iter().map(|(id, why)| refused(id, why)).collect::<Vec<_>>(),
                "returned": updated.returned.as_ref().map(|failed| &failed.why),
                "bytes": updated.bytes,
                "sessions": updated.sessions,
            });
            say!("{document}");
        } else {
            for package in &updated.installed {
                say!("installed {package}");
            }
            if updated.installed.is_empty() && updated.refused.is_empty() {
                say!("nothing new to load");
            }
            say!("{} bytes in {} sessions", updated.bytes, updated.sessions);
        }
        if let Some(failed) = &updated.returned {
            bail!("what was new does not start ({}): the terminal runs what it ran before", failed.why);
        }
        if !updated.refused.is_empty() {
            bail!("{} packages were refused; the TMS was told why", updated.refused.len());
        }
        Ok(())
    }
}
