//! Software terminals as processes.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    path::PathBuf,
    process::{Child, ChildStdout, Stdio},
};

use serde_json::Value;

use super::tool::{Ran, keyferry, run, wait};

/// A terminal's folder.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    pub(crate) sn: String,
    pub(crate) folder: PathBuf,
}

/// A terminal that waits for a station.
pub(crate) struct Waiting {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    pub(crate) address: String,
}

impl Terminal {
    pub(crate) fn wait(&self) -> Waiting {
        self.start("collect")
    }

    /// Listens for stations and KLDs until it is dropped.
    pub(crate) fn listen(&self) -> Waiting {
        self.start("listen")
    }

    fn start(&self, how: &str) -> Waiting {
        self.start_at(how, "127.0.0.1:0")
    }

    /// `terminal collect` or `listen` at an address.
    pub(crate) fn start_at(&self, how: &str, address: &str) -> Waiting {
        let mut command = keyferry(["terminal", how, "--json", "--listen", address]);
        let mut child = command.arg(&self.folder).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let said: Value = serde_json::from_str(&out.next().unwrap().unwrap()).unwrap();
        assert_eq!(said["sn"], self.sn.as_str());
        Waiting { child, out, address: said["listening"].as_str().unwrap().to_owned() }
    }

    /// `keyferry terminal download --json`.
    pub(crate) fn download(&self, server: &str, slot: u8, further: &[&str]) -> Ran {
        let slot = slot.to_string();
        let mut command = keyferry(["terminal", "download", "--json", "--server", server, "--slot", &slot]);
        run(command.args(further).arg(&self.folder))
    }

    /// A download that must work: its check value.
    #[track_caller]
    pub(crate) fn key(&self, server: &str, slot: u8) -> String {
        self.download(server, slot, &[]).json()["kcv"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        run(keyferry(["terminal", "status", "--json"]).arg(&self.folder)).json()
    }

    /// The check value in a slot, from its own status.
    pub(crate) fn kcv(&self, slot: u8) -> Option<String> {
        let status = self.status();
        let held = status["slots"].as_array().unwrap().iter().find(|held| held["slot"] == slot).cloned()?;
        Some(held["kcv"].as_str().unwrap().to_owned())
    }

    /// The fingerprint that it displays.
    #[track_caller]
    pub(crate) fn fingerprint(&self) -> String {
        self.status()["collected"]["fingerprint"].as_str().unwrap().to_owned()
    }

    /// Makes it anew, as a repair does: another TK under the same serial.
    pub(crate) fn remove(&self) {
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

impl Waiting {
    /// The fingerprint displayed when it was collected; waits for its end.
    pub(crate) fn fingerprint(mut self) -> Option<String> {
        let mut shown = None;
        for line in self.out.by_ref() {
            let said: Value = serde_json::from_str(&line.unwrap()).unwrap();
            shown = said["fingerprint"].as_str().map(str::to_owned).or(shown);
        }
        assert!(wait(&mut self.child).unwrap().success());
        shown
    }
}

impl Waiting {
    /// Tells it to end, and waits until it has.
    pub(crate) fn end(mut self) -> bool {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        wait(&mut self.child).unwrap().success()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
