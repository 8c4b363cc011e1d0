//! `docs/requirements.md`: each requirement of the specification with the tests that answer it. The file is written from
//! the tests' names, and `cargo xtask tidy` compares the two, so that it cannot go stale.
//!
//! A test answers a requirement by its name: `r7_…`, or `r9_r11_…` for two. An attack of the specification's list answers
//! the requirements that name it.

mod open;

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::{Result, bail};

use crate::tidy::repo::{Problem, Repo, TextFile};

/// The generated file.
const DOCUMENT: &str = "docs/requirements.md";
/// Where the requirements come from.
const SPECIFICATION: &str = "docs/spec/4-requirements.md";
/// Where the attacks are.
const ATTACKS: &str = "crates/keyferry/tests/attacks/";

/// Those that the project holds itself to: each has a test.
const ANSWERED: &[u8] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 20, 21, 22, 23, 25, 27, 29, 30, 31, 33, 40, 44,
];

/// Writes the file anew.
///
/// # Errors
/// When the repository cannot be read, the specification has no table, or the file cannot be written.
pub(crate) fn write(root: &Path) -> Result<()> {
    let repo = Repo::read(root)?;
    let Some(text) = document(&repo) else { bail!("{SPECIFICATION} has no table of requirements") };
    Ok(fs::write(root.join(DOCUMENT), text)?)
}

/// What the file lacks: a change of the tests, or a test for what must have one.
pub(crate) fn check(repo: &Repo) -> Vec<Problem> {
    let Some(text) = document(repo) else { return Vec::new() };
    let mut problems = Vec::new();
    let written = repo.files.iter().find(|file| file.path == DOCUMENT);
    if written.is_none_or(|file| file.text != text) {
        problems.push(Problem::new(DOCUMENT, 1, "is not what the tests say: run `cargo xtask requirements`"));
    }
    let tests = tests(repo);
    for number in ANSWERED.iter().filter(|number| !tests.contains_key(number)) {
        problems.push(Problem::new(DOCUMENT, 1, format!("no test answers R{number}")));
    }
    problems
}

/// One row of the specification's table.
struct Requirement<'a> {
    number: u8,
    text: &'a str,
    test: &'a str,
}

fn document(repo: &Repo) -> Option<String> {
    let specification = repo.files.iter().find(|file| file.path == SPECIFICATION)?;
    let requirements: Vec<_> = specification.text.lines().filter_map(requirement).collect();
    if requirements.is_empty() {
        return None;
    }
    let (tests, attacks) = (tests(repo), attacks(repo));
    let mut text = String::from(
        "# Requirements, and the tests that answer them\n\n\
         Written by `cargo xtask requirements` from the names of the tests, and compared with them at every build. The\n\
         requirements are those of [the specification](spec/4-requirements.md); Keyferry claims no certification.\n\n\
         | # | requirement | answered by |\n|---|---|---|\n",
    );
    for Requirement { number, text: what, test } in &requirements {
        let mut answers: Vec<String> = tests.get(number).cloned().unwrap_or_default();
        let named =
            attacks.iter().filter(|(name, _)| test.contains(&format!("`{}`", name.replace('_', "-"))));
        answers.extend(named.map(|(name, path)| link(name, path)));
        let answered = match (answers.is_empty(), open::reason(*number)) {
            (false, None) => answers.join(", "),
            (false, Some(reason)) => format!("{}. Open: {reason}", answers.join(", ")),
            (true, Some(reason)) => format!("Open: {reason}"),
            (true, None) => "**no test**".to_owned(),
        };
        let _ = writeln!(text, "| R{number} | {what} | {answered} |"); // a String takes everything
    }
    Some(text)
}

fn requirement(line: &str) -> Option<Requirement<'_>> {
    let mut cells = line.strip_prefix("| R")?.strip_suffix(" |")?.splitn(3, " | ");
    let number = cells.next()?.parse().ok()?;
    Some(Requirement { number, text: cells.next()?, test: cells.next()? })
}

/// Links to the tests of each requirement.
fn tests(repo: &Repo) -> BTreeMap<u8, Vec<String>> {
    let mut tests = BTreeMap::<u8, Vec<String>>::new();
    for (name, path) in repo.rust().flat_map(functions) {
        for number in numbers(name) {
            tests.entry(number).or_default().push(link(name, path));
        }
    }
    tests.values_mut().for_each(|links| links.sort());
    tests
}

fn attacks(repo: &Repo) -> Vec<(&str, &str)> {
    let mut attacks: Vec<_> =
        repo.rust().filter(|file| file.path.starts_with(ATTACKS)).flat_map(functions).collect();
    attacks.sort_unstable();
    attacks
}

/// The functions under a `#[test]` of any kind.
fn functions(file: &TextFile) -> impl Iterator<Item = (&str, &str)> {
    let mut is_test = false;
    file.text.lines().filter_map(move |line| {
        let line = line.trim_start();
        if ["#[test]", "#[tokio::test", "#[rstest"].iter().any(|attribute| line.starts_with(attribute)) {
            is_test = true;
            return None;
        }
        let name =
            line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?.split(['(', '<']).next()?;
        std::mem::take(&mut is_test).then_some((name, file.path.as_str()))
    })
}

/// The numbers that a test's name begins with.
fn numbers(name: &str) -> impl Iterator<Item = u8> {
    name.split('_').map_while(|part| part.strip_prefix('r')?.parse().ok())
}

fn link(name: &str, path: &str) -> String {
    format!("[`{name}`](../{path})")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| R2 | No clear key | scan |\n| R11 | Proof first | `false-terminal`; revoke |\n| R12 | Two people | each |\n";

    fn repo() -> Repo {
        Repo::of(&[
            (SPECIFICATION, TABLE),
            ("crates/a/src/x.rs", "#[test]\nfn r2_r11_nothing_leaks() {\n"),
            ("crates/a/src/y.rs", "fn r2_is_no_test() {\n"),
            ("crates/keyferry/tests/attacks/z.rs", "    #[test]\n    fn false_terminal() {\n"),
        ])
    }

    #[test]
    fn a_test_answers_what_its_name_says_and_an_attack_what_names_it() {
        let text = document(&repo()).unwrap();
        let row = |number: &str| {
            text.lines().find(|line| line.starts_with(&format!("| R{number} "))).unwrap().to_owned()
        };
        assert_eq!(row("2"), "| R2 | No clear key | [`r2_r11_nothing_leaks`](../crates/a/src/x.rs) |");
        assert!(row("11").ends_with("[`false_terminal`](../crates/keyferry/tests/attacks/z.rs) |"));
        assert!(row("11").contains("r2_r11_nothing_leaks"));
        assert!(row("12").contains("Open: "), "{}", row("12"));
        assert!(!text.contains("r2_is_no_test"));
    }

    #[test]
    fn a_stale_file_and_a_missing_test_are_problems() {
        let problems = check(&repo());
        assert_eq!(problems.len(), 1 + ANSWERED.len() - 2, "stale, and all but R2 and R11");
    }

    #[test]
    fn what_has_no_test_has_a_reason() {
        for number in (1..=45).filter(|number| !ANSWERED.contains(number)) {
            assert!(open::reason(number).is_some(), "R{number}");
        }
    }
}
