//! A person at a terminal: a command on a pseudo-terminal of its own, its prompts answered as they come.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

use super::tool::{until, wait};

/// What is waited for longer never comes.
const LIMIT: Duration = Duration::from_secs(180);

/// A command that runs on a terminal.
pub(crate) struct Typing {
    master: File,
    seen: Arc<Mutex<Vec<u8>>>,
    /// Whether nobody writes to it any more.
    closed: Arc<AtomicBool>,
    /// How much of it was looked at.
    at: usize,
    child: std::process::Child,
}

impl Typing {
    /// Runs a line of shell in a folder. `keyferry` is the program under test. Where this system lets anyone have a
    /// network of their own, the command gets one with nothing in it.
    pub(crate) fn start(folder: &Path, line: &str, environment: &[(&str, &Path)]) -> Typing {
        Typing::begin(folder, line, environment, network_can_be_taken_away())
    }

    /// The same with the network that there is.
    pub(crate) fn start_with_network(folder: &Path, line: &str) -> Typing {
        Typing::begin(folder, line, &[], false)
    }

    fn begin(folder: &Path, line: &str, environment: &[(&str, &Path)], alone: bool) -> Typing {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(name).unwrap();
        // `setsid --ctty` makes standard input the terminal that prompts are asked at.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]);
        if alone {
            command.args(["unshare", "--map-root-user", "--net"]);
        }
        let program = Path::new(env!("CARGO_BIN_EXE_keyferry")).parent().unwrap().display().to_string();
        let path = std::env::var("PATH").unwrap();
        command.args(["sh", "-euc", line]).current_dir(folder).env("PATH", format!("{program}:{path}"));
        command.envs(environment.iter().copied());
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        let child = command.spawn().unwrap();
        drop(command);
        let master = File::from(master);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let closed = Arc::new(AtomicBool::new(false));
        let (mut reader, shared, over) =
            (master.try_clone().unwrap(), Arc::clone(&seen), Arc::clone(&closed));
        thread::spawn(move || {
            let mut buffer = [0; 1024];
            // A terminal that nobody has open any more reads as an error.
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                shared.lock().unwrap().extend_from_slice(&buffer[..read]);
            }
            over.store(true, Ordering::SeqCst);
        });
        Typing { master, seen, closed, at: 0, child }
    }

    /// Everything that was on the screen.
    pub(crate) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).replace("\r\n", "\n")
    }

    /// Waits until this is on the screen, after what was waited for before.
    #[track_caller]
    pub(crate) fn sees(&mut self, text: &str) {
        let began = Instant::now();
        loop {
            let over = self.closed.load(Ordering::SeqCst);
            let screen = self.screen();
            if let Some(found) = screen.get(self.at..).and_then(|rest| rest.find(text)) {
                self.at += found + text.len();
                return;
            }
            assert!(
                !over && began.elapsed() < LIMIT,
                "{text:?} does not come after {} of:\n{screen}",
                self.at
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Types a secret, once the terminal has stopped showing what is typed.
    #[track_caller]
    pub(crate) fn types_unseen(&mut self, secret: &str) {
        let began = Instant::now();
        while tcgetattr(&self.master).unwrap().local_modes.contains(LocalModes::ECHO) {
            assert!(began.elapsed() < LIMIT, "what is typed would be seen:\n{}", self.screen());
            thread::sleep(Duration::from_millis(2));
        }
        self.master.write_all(format!("{secret}\n").as_bytes()).unwrap();
    }

    /// Waits for the end; what was on the screen, and whether it ended well.
    pub(crate) fn ends(mut self) -> (bool, String) {
        let status = wait(&mut self.child).unwrap_or_else(|| panic!("it does not end:\n{}", self.screen()));
        // The last words may still be on their way from the terminal.
        until("the terminal is closed", || self.closed.load(Ordering::SeqCst));
        (status.success(), self.screen())
    }
}

/// Whether this user may make a network namespace; containers may forbid it.
pub(crate) fn network_can_be_taken_away() -> bool {
    let mut trial = Command::new("unshare");
    trial.args(["--map-root-user", "--net", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    trial.status().is_ok_and(|status| status.success())
}
