//! `cargo xtask bench`.

use std::path::Path;

use anyhow::Result;

use crate::run::cargo;

/// Runs the benchmarks: optimised, since their ratios mean nothing otherwise. The program itself is built before, since
/// the part `factory` runs it.
pub(crate) fn run(root: &Path, args: &[&str]) -> Result<()> {
    cargo(root, &["build", "--release", "-p", "keyferry"]).run()?;
    cargo(root, &["run", "--release", "-p", "keyferry-benches", "--"]).args(args).run()
}
