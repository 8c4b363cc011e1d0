//! The demo's terminals: each a folder, and a process whenever it does something.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::Child,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    estate::Estate,
    tool::{Said, good, keyferry, run, text},
};
use crate::commands::suite::SuiteName;

/// Processes at once.
const AT_ONCE: usize = 8;

/// One terminal.
#[derive(Debug, Clone)]
pub(super) struct Terminal {
    pub(super) sn: String,
    folder: PathBuf,
}

/// A terminal that waits for a station.
pub(super) struct Waiting {
    process: Child,
    out: BufReader<std::process::ChildStdout>,
    pub(super) address: String,
}

impl Terminal {
    /// Makes a terminal in production state, with the estate's root burnt into it. Its vendor has the acquirer's CA
    /// certify repair authorisations.
    pub(super) fn make(folder: &Path, sn: &str, root: &Path) -> Result<Self> {
        Self::make_for(folder, sn, root, root)
    }

    /// Makes one of a vendor that has a root of its own.
    pub(super) fn make_for(folder: &Path, sn: &str, root: &Path, vendor_root: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let terminal = Self { sn: sn.to_owned(), folder: folder.join(sn) };
        let arguments = ["terminal", "new", "--sn", sn, "--vendor", "KEYFERRY", "--model", "SIM-1"];
        let mut command = keyferry(arguments)?;
        command.arg("--root").arg(root).arg("--vendor-root").arg(vendor_root);
        let made = run(command.arg(&terminal.folder))?;
        if !made.ok {
            bail!("terminal {sn} was not made: {}", made.error);
        }
        Ok(terminal)
    }

    /// Has the device key that its PIN pad made certified. In suite 01 there is none.
    pub(super) fn certify(&self, estate: &Estate) -> Result<()> {
        match estate.suite {
            SuiteName::Tdes => Ok(()),
            SuiteName::EcAes => self.certify_under(&estate.path("ca"), &estate.secret("ca-passphrase")),
        }
    }

    /// Has its device key certified by this CA, whoever's it is.
    pub(super) fn certify_under(&self, ca: &Path, passphrase: &Path) -> Result<()> {
        let (request, certificate) = (self.paper("device.csr"), self.paper("device.pem"));
        let mut ask = keyferry(["terminal", "device-request", "--out"])?;
        good(ask.arg(&request).arg(&self.folder))?;
        let mut issue = keyferry(["ca", "issue", "--role", "device", "--pin-pad", &self.sn, "--ca"])?;
        issue.arg(ca).arg("--ca-passphrase-file").arg(passphrase);
        good(issue.arg("--request").arg(&request).arg("--out").arg(&certificate))?;
        let mut install = keyferry(["terminal", "device-install", "--certificate"])?;
        good(install.arg(&certificate).arg(&self.folder))
    }

    /// A file that belongs to the terminal and is none of its own.
    fn paper(&self, kind: &str) -> PathBuf {
        self.folder.with_file_name(format!("{}.{kind}", self.sn))
    }

    /// Lets it wait for a station on a port of its own.
    pub(super) fn wait(&self) -> Result<Waiting> {
        self.start("collect")
    }

    /// Lets it listen for stations and key loading devices until this is dropped.
    pub(super) fn listen(&self) -> Result<Waiting> {
        self.start("listen")
    }

    fn start(&self, how: &str) -> Result<Waiting> {
        let arguments = ["terminal", how, "--json", "--listen", "127.0.0.1:0"];
        let mut process =
            keyferry(arguments)?.arg(&self.folder).spawn().context("cannot start a terminal")?;
        let mut out = BufReader::new(process.stdout.take().context("a terminal has no output")?);
        let mut line = String::new();
        out.read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).unwrap_or_default();
        match said.get("listening").and_then(Value::as_str) {
            Some(address) => Ok(Waiting { address: address.to_owned(), process, out }),
            None => bail!("terminal {} does not wait for a station", self.sn),
        }
    }

    /// Downloads a TMK, perhaps with the line cut after a message.
    pub(super) fn download(&self, port: &str, slot: u8, cut_after: Option<&str>) -> Result<Said> {
        let slot = slot.to_string();
        let mut command = keyferry(["terminal", "download", "--json", "--server", port, "--slot", &slot])?;
        if let Some(message) = cut_after {
            command.args(["--cut-after", message]);
        }
        run(command.arg(text(&self.folder)))
    }

    /// Check value of a slot's key, from the terminal's own status.
    pub(super) fn kcv(&self, slot: u8) -> Result<Option<String>> {
        let status = self.status()?;
        let slots = status.get("slots").and_then(Value::as_array).cloned().unwrap_or_default();
        let found = slots.iter().find(|held| held.get("slot").and_then(Value::as_u64) == Some(slot.into()));
        Ok(found.and_then(|held| held.get("kcv")).and_then(Value::as_str).map(str::to_owned))
    }

    /// Its folder, where its board is too.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Changes what its sensors say.
    pub(super) fn sense(&self, sensor: &str, reading: &str) -> Result<()> {
        let option = format!("--{sensor}={reading}");
        let said = run(keyferry(["terminal", "sensor", &option])?.arg(&self.folder))?;
        if !said.ok {
            bail!("terminal {}: {}", self.sn, said.error);
        }
        Ok(())
    }

    /// Whether it has this package installed.
    pub(super) fn has(&self, package: &str) -> Result<bool> {
        let status = self.status()?;
        let packages = status.get("packages").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(packages.iter().any(|one| one.as_str().is_some_and(|one| one.starts_with(package))))
    }

    /// What it says of itself.
    pub(super) fn status(&self) -> Result<Value> {
        let mut command = keyferry(["terminal", "status", "--json"])?;
        let output = command.arg(&self.folder).output()?;
        if !output.status.success() {
            bail!("terminal {}: {}", self.sn, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

impl Waiting {
    /// The fingerprint it displayed, once it was collected.
    pub(super) fn fingerprint(mut self) -> Result<String> {
        let mut shown = None;
        for line in self.out.by_ref().lines() {
            let said: Value = serde_json::from_str(&line?).unwrap_or_default();
            if let Some(fingerprint) = said.get("fingerprint").and_then(Value::as_str) {
                shown = Some(fingerprint.to_owned());
            }
        }
        self.process.wait()?;
        shown.context("a terminal was not collected")
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // One that was collected has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Does something with many terminals, several at a time; results in the order of the terminals.
pub(super) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
