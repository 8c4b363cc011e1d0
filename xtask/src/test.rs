//! `cargo xtask test`: everything that must hold, cheapest first, stopping at the first failure.

use std::{
    env,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{
    run::{Program, cargo},
    setup, tidy,
};

type Step = (&'static str, fn(&Path) -> Result<()>);

/// In this order: what is quick to run and quick to mend comes first.
const STEPS: &[Step] = &[
    ("setup", setup::run),
    ("format", |root| cargo(root, &["fmt", "--all", "--check"]).run()),
    ("tidy", tidy::run),
    ("lock file", lock_file),
    ("lints", |root| cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()),
    // One invocation: unit, integration and documentation tests, and every example is built with them.
    ("tests", |root| cargo(root, &["test", "--workspace"]).run()),
    ("examples", |root| cargo(root, &["build", "--workspace", "--examples"]).run()),
    ("documentation", |root| {
        cargo(root, &["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings").run()
    }),
    ("keyblock without cryptography", |root| {
        cargo(root, &["build", "-p", "keyblock", "--no-default-features", "--lib", "--examples"]).run()
    }),
];

/// Runs every step.
///
/// # Errors
/// The first step that fails.
pub(crate) fn run(root: &Path) -> Result<()> {
    let start = Instant::now();
    let mut times = Vec::new();
    for (number, (name, step)) in (1..).zip(STEPS) {
        eprintln!("\n== {number}/{} {name}", STEPS.len());
        let step_start = Instant::now();
        step(root).with_context(|| format!("step {number}/{} ({name})", STEPS.len()))?;
        let time = step_start.elapsed();
        eprintln!("== {name}: ok, {}", seconds(time));
        times.push((*name, time));
    }
    eprint!("\n{}", summary(&times, start.elapsed()));
    Ok(())
}

/// Where every build starts from a fresh clone, building must not have changed the versions that were agreed on.
/// At a developer's desk it may: a dependency was just added.
fn lock_file(root: &Path) -> Result<()> {
    if env::var_os("CI").is_none() {
        eprintln!("only checked where CI is set");
        return Ok(());
    }
    Program::new("git", root)
        .args(&["-c", "safe.directory=*", "diff", "--exit-code", "--stat", "--", "Cargo.lock"])
        .run()
        .context("Cargo.lock does not fit the manifests; run `cargo check` and commit it")
}

fn summary(times: &[(&str, Duration)], total: Duration) -> String {
    let mut text = String::new();
    for (name, time) in times {
        text += &format!("{name:<32}{:>9}\n", seconds(*time));
    }
    text + &format!("{:<32}{:>9}\nxtask: test: all {} steps passed\n", "total", seconds(total), times.len())
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::summary;

    #[test]
    fn summary_ends_with_the_verdict() {
        let times = [("format", Duration::from_millis(1250)), ("tests", Duration::from_secs(61))];
        let text = summary(&times, Duration::from_secs(63));
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "format                              1.2 s",
                "tests                              61.0 s",
                "total                              63.0 s",
                "xtask: test: all 2 steps passed",
            ]
        );
    }
}
