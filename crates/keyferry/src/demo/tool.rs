//! Runs this very program as other people would: as a process of its own.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A `keyferry` command, ready to be given more arguments.
pub(super) fn keyferry<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Result<Command> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(config) = TOKENS.get() {
        command.env("SOFTHSM2_CONF", config);
    }
    Ok(command)
}

/// SoftHSM's configuration, where the demo has cards on tokens. SoftHSM takes it from the environment alone.
static TOKENS: OnceLock<PathBuf> = OnceLock::new();

/// Has every command from here on see these tokens.
pub(super) fn tell_where_tokens_are(config: &Path) -> Result<()> {
    TOKENS.set(config.to_owned()).ok().context("a demo has one place for tokens")
}

/// What a command said: its exit and its answer in JSON, if it gave one.
pub(super) struct Said {
    pub(super) ok: bool,
    pub(super) json: Value,
    pub(super) error: String,
}

impl Said {
    /// The answer of a command that must have worked.
    pub(super) fn good(self) -> Result<Value> {
        if !self.ok {
            bail!("{}", self.error);
        }
        Ok(self.json)
    }
}

/// Runs a command to its end.
pub(super) fn run(command: &mut Command) -> Result<Said> {
    Ok(said(&command.output().context("cannot start a process")?))
}

/// Reads what a finished command said.
pub(super) fn said(output: &Output) -> Said {
    let last = output.stdout.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).unwrap_or_default();
    Said {
        ok: output.status.success(),
        json: serde_json::from_slice(last).unwrap_or_default(),
        error: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    }
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Runs a command that must work.
pub(super) fn good(command: &mut Command) -> Result<()> {
    let shown: Vec<_> = command.get_args().take(3).map(|a| a.to_string_lossy().into_owned()).collect();
    let said = run(command)?;
    if !said.ok {
        bail!("keyferry {}: {}", shown.join(" "), said.error);
    }
    Ok(())
}
