//! What goes to standard output and standard error.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    process::ExitCode,
    sync::atomic::{AtomicU8, Ordering},
};

/// What a shell shows for SIGPIPE: nobody reads the output any more, as in `keyferry audit show | head`.
const NOBODY_READS: u8 = 128 + 13;
const NOT_WRITTEN: u8 = 1;

/// The exit code that a failed write asks for; 0 while all went well.
static FAILED: AtomicU8 = AtomicU8::new(0);

/// Prints a line; see the macro `say!`.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_fmt(text).and_then(|()| out.write_all(b"\n")) {
        let code = if error.kind() == ErrorKind::BrokenPipe { NOBODY_READS } else { NOT_WRITTEN };
        if FAILED.swap(code, Ordering::Relaxed) == 0 && code == NOT_WRITTEN {
            complain!("keyferry: the output cannot be written: {error}");
        }
    }
}

/// Prints a line to standard error; see the macro `complain!`.
pub(crate) fn complaint(text: fmt::Arguments<'_>) {
    // There is no other place to say that this failed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The exit code where the output could not be written.
pub(crate) fn exit_code() -> Option<ExitCode> {
    if let Err(error) = io::stdout().flush() {
        line(format_args!("{error}")); // fails again, and is noted there
    }
    match FAILED.load(Ordering::Relaxed) {
        0 => None,
        code => Some(ExitCode::from(code)),
    }
}

/// An error and what caused it, each said once: many say their cause themselves.
pub(crate) fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
