//! `keyferry server` as a process, in a process group of its own with its HSM.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{
    estate::Estate,
    process,
    tool::{Ran, run, wait},
};

/// A server that serves.
pub(crate) struct Server {
    child: Child,
    _out: BufReader<ChildStdout>,
    log: PathBuf,
    /// Where terminals connect, `host:port`.
    pub(crate) terminals: String,
    /// Where stations and KLDs connect.
    pub(crate) https: String,
    /// Where POSPs connect, if they are served.
    pub(crate) posps: Option<String>,
}

/// The command that starts an estate's server.
pub(crate) fn command(estate: &Estate) -> Command {
    let mut command = estate.configured(&["server"]);
    command.arg("--passphrase-file").arg(estate.secret("hsm-passphrase"));
    command
}

/// Runs a server that cannot start.
pub(crate) fn fails(estate: &Estate) -> Ran {
    run(&mut command(estate))
}

impl Server {
    /// Starts it and waits until it serves. The station's configuration gets its address.
    #[track_caller]
    pub(crate) fn start(estate: &Estate) -> Server {
        Server::start_as(estate, &mut command(estate))
    }

    #[track_caller]
    pub(crate) fn start_as(estate: &Estate, command: &mut Command) -> Server {
        let log = estate.log();
        let err = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(err).process_group(0);
        let mut child = started.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut said = |name: &str| {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            let address = line.trim_end().strip_prefix(name);
            address.unwrap_or_else(|| panic!("{line:?}: {}", fs::read_to_string(&log).unwrap())).to_owned()
        };
        let (terminals, https) = (said("terminal port "), said("https "));
        let config = fs::read_to_string(estate.path("keyferry.toml")).unwrap_or_default();
        let posps = config.contains("\n[posp]").then(|| said("posp "));
        let station = estate.path("station.toml");
        let text = fs::read_to_string(&station).unwrap();
        let url = format!("url = \"https://{https}\"");
        let lines = text.lines().map(|line| if line.starts_with("url =") { url.as_str() } else { line });
        fs::write(&station, lines.collect::<Vec<_>>().join("\n")).unwrap();
        Server { child, _out: out, log, terminals, https, posps }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    /// The HSM that it started.
    pub(crate) fn hsm(&self) -> i32 {
        let children = process::children(self.pid());
        assert_eq!(children.len(), 1, "one child, the HSM: {children:?}");
        children[0]
    }

    /// SIGKILL; the HSM is left to itself.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGKILL, before another is put in its place.
    pub(crate) fn kill_in_place(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM to the server alone, as a service manager does.
    pub(crate) fn stop(mut self) -> ExitStatus {
        kill_process(self.group(), Signal::TERM).unwrap();
        self.ended()
    }

    /// SIGINT to the server and its HSM, as Ctrl-C at a terminal does.
    pub(crate) fn interrupt(mut self) -> ExitStatus {
        kill_process_group(self.group(), Signal::INT).unwrap();
        self.ended()
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        wait(&mut self.child).unwrap_or_else(|| panic!("the server does not end: {}", self.log()))
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn group(&self) -> Pid {
        Pid::from_raw(self.pid()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
