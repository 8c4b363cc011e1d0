//! What the tests of the console share: cables, cards, and a person at the keys.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use crate::screen::Screen;
use crate::support::{
    estate::{Estate, SECRETS},
    records,
    terminals::Terminal,
    tool::keyferry,
};

pub(crate) const OPERATOR_PIN: &str = SECRETS[2].1;
pub(crate) const ADMINISTRATOR_PIN: &str = SECRETS[3].1;
pub(crate) const SIZE: (u16, u16) = (100, 30);

/// A terminal that listens at a cable; unplugged when dropped.
pub(crate) struct Cable {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    path: PathBuf,
}

impl Cable {
    pub(crate) fn plug(estate: &Estate, terminal: &Terminal, name: &str) -> Cable {
        let path = estate.folder().join(name);
        let mut command = keyferry(["terminal", "listen", "--json", "--listen"]);
        command.arg(format!("pty:{}", path.display())).arg(&terminal.folder);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        Cable { child, out, path }
    }

    /// The fingerprint that it displayed when it was collected, in the groups in which people compare it.
    pub(crate) fn fingerprint(&mut self) -> String {
        let fingerprint = self.out.by_ref().find_map(|line| {
            let said: Value = serde_json::from_str(&line.unwrap()).unwrap();
            said["fingerprint"].as_str().map(str::to_owned)
        });
        let fingerprint = fingerprint.unwrap();
        let groups = fingerprint.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).unwrap());
        groups.collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.path);
    }
}

/// The station's cables are this estate's own.
pub(crate) fn with_cables(estate: &Estate) {
    let station = estate.path("station.toml");
    let mut text = fs::read_to_string(&station).unwrap();
    let cables = format!("serial = [\"{}/tty-*\"]", estate.folder().display());
    if text.contains("[links]") {
        let lines =
            text.lines().map(|line| if line.starts_with("serial = ") { cables.as_str() } else { line });
        text = lines.collect::<Vec<_>>().join("\n");
    } else {
        text.push_str(&format!("\n[links]\n{cables}\nbaud = 115200\n"));
    }
    fs::write(&station, text).unwrap();
}

pub(crate) fn console(estate: &Estate) -> Command {
    let mut command = keyferry(["station", "console", "--config"]);
    command.arg(estate.path("station.toml"));
    command.arg("--station-passphrase-file").arg(estate.secret("station-passphrase"));
    command
}

/// How many terminals the KMS knows.
pub(crate) fn known(estate: &Estate) -> i64 {
    records::number(&estate.path("keyferry.db"), "SELECT count(*) FROM terminals")
}

pub(crate) fn both_present(screen: &mut Screen) {
    screen.until("both cards", |text| text.matches(" present ").count() == 2);
}

pub(crate) fn give_pins(screen: &mut Screen) {
    screen.sees("1 of 2: the operator card's PIN");
    screen.enter(OPERATOR_PIN);
    screen.sees("2 of 2: the administrator card's PIN");
    screen.enter(ADMINISTRATOR_PIN);
}

/// A cable with nobody at its end.
pub(crate) fn silent(estate: &Estate, name: &str) -> Silent {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = estate.folder().join(name);
    std::os::unix::fs::symlink(ptsname(&master, Vec::new()).unwrap().into_string().unwrap(), &path).unwrap();
    Silent { path, _master: master }
}

pub(crate) struct Silent {
    path: PathBuf,
    _master: std::os::fd::OwnedFd,
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
