//! The rules of the repository that no compiler knows. Each is a small file here, with its reason and its test.

mod attributes;
mod dependencies;
mod graph;
mod length;
mod links;
mod manifests;
mod markers;
mod offline;
mod places;
pub(crate) mod repo;
mod rooms;
mod unsafe_code;
mod whitespace;

use std::path::Path;

use anyhow::{Result, bail};

use repo::{Problem, Repo};

type Rule = fn(&Repo) -> Vec<Problem>;

/// The rules that only read files.
const RULES: &[Rule] = &[
    attributes::check,
    dependencies::check,
    length::check,
    links::check,
    manifests::check,
    markers::check,
    offline::check,
    places::check,
    crate::requirements::check,
    unsafe_code::check,
    whitespace::check,
];

/// Checks every rule and prints every problem.
///
/// # Errors
/// When there is a problem, or the repository cannot be read.
pub(crate) fn run(root: &Path) -> Result<()> {
    let repo = Repo::read(root)?;
    let mut problems: Vec<Problem> = RULES.iter().flat_map(|rule| rule(&repo)).collect();
    problems.extend(graph::check(root, &repo)?);
    problems.sort();
    for problem in &problems {
        eprintln!("{problem}");
    }
    match problems.len() {
        0 => {
            eprintln!("tidy: {} files hold to the rules", repo.files.len());
            Ok(())
        }
        count => bail!("tidy: {count} places break a rule; xtask/src/tidy says why each rule is there"),
    }
}
