//! What the project does to itself, as code instead of shell scripts: `cargo xtask help` lists it.

mod bench;
mod requirements;
mod run;
mod setup;
mod test;
mod tidy;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};

const HELP: &str = "\
cargo xtask test            install what the tests need, then check and test everything
cargo xtask tidy            check the rules of the repository that no compiler knows
cargo xtask requirements    write docs/requirements.md from the names of the tests
cargo xtask bench [ARGS]    run the benchmarks, optimised; ARGS go to them
cargo xtask help            print this";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let root = root()?;
    match args.as_slice() {
        ["test"] => test::run(&root),
        ["tidy"] => tidy::run(&root),
        ["requirements"] => requirements::write(&root),
        ["bench", rest @ ..] => bench::run(&root, rest),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        other => bail!("no such task: `{}`. These are:\n{HELP}", other.join(" ")),
    }
}

/// The folder of the workspace: the one above this crate.
fn root() -> Result<PathBuf> {
    let here = env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
    Ok(Path::new(&here).parent().context("xtask has no folder above it")?.to_owned())
}
