//! Runs programs to their end, and never waits for ever.

use std::{
    ffi::OsStr,
    io::{Read, Write},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// A command that has not ended by then never will.
const LIMIT: Duration = Duration::from_secs(300);

/// What a program said.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Nothing when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// What it printed, having ended well.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }

    /// What it printed as one JSON document, having ended well.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let text = self.good();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Its message, having ended with exit code 1.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert_eq!(self.code, Some(1), "{self:#?}");
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.err
    }

    /// Ended with exit code 1 and said this.
    #[track_caller]
    pub(crate) fn refused_with(self, wanted: &str) {
        let said = self.refused();
        assert!(said.contains(wanted), "{wanted:?} is not in: {said}");
    }
}

/// The program under test.
pub(crate) fn keyferry<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(arguments: I) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyferry"));
    command.args(arguments);
    command
}

/// Runs with nothing at standard input.
pub(crate) fn run(command: &mut Command) -> Ran {
    run_with(command, b"")
}

/// Runs with this at standard input.
pub(crate) fn run_with(command: &mut Command, input: &[u8]) -> Ran {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (out, err) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let input = input.to_vec();
    // A program may end without reading what it was given.
    thread::spawn(move || stdin.write_all(&input));
    let status = wait(&mut child).unwrap_or_else(|| panic!("{command:?} does not end"));
    Ran { code: status.code(), out: out.join().unwrap(), err: err.join().unwrap() }
}

/// Waits for a process; nothing when it does not end in time, and then it is killed.
pub(crate) fn wait(child: &mut Child) -> Option<ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// `openssl`, which must be there.
#[track_caller]
pub(crate) fn openssl<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(arguments: I) -> Ran {
    let mut command = Command::new("openssl");
    let found = Command::new("openssl").arg("version").output();
    assert!(found.is_ok(), "the program `openssl` is missing; install it (package openssl) and run again");
    run(command.args(arguments))
}

/// A path as text.
pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn drain<R: Read + Send + 'static>(stream: Option<R>) -> thread::JoinHandle<String> {
    let mut stream = stream.unwrap();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    })
}
