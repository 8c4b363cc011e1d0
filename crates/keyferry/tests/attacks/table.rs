//! The table of `docs/security.md` names every attack's tests, and every attack's tests are in it.

use std::{collections::BTreeSet, fs, path::Path};

const SUITES: [&str; 2] = ["suite_01", "suite_02"];
/// How the table begins to say that a suite has not what the attack is about: then there is nothing to try.
const NOTHING: &str = "nothing to try";

/// The functions under `#[test]` in a file's text.
fn tests(text: &str) -> Vec<String> {
    let after = text.split("#[test]\n").skip(1);
    after
        .map(|rest| rest.trim_start().trim_start_matches("fn ").split('(').next().unwrap().to_owned())
        .collect()
}

/// The names in the last section of the specification.
fn list(specification: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(specification).unwrap();
    let section = text.split("\n## ").last().unwrap();
    assert!(section.starts_with("Attacks"), "{section}");
    section.split('`').skip(1).step_by(2).map(|name| name.replace('-', "_")).collect()
}

#[test]
fn the_table_and_the_tests_name_the_same_attacks() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut written = BTreeSet::new();
    for suite in SUITES {
        for entry in fs::read_dir(here.join("tests/attacks").join(suite)).unwrap() {
            for test in tests(&fs::read_to_string(entry.unwrap().path()).unwrap()) {
                assert!(written.insert(format!("{suite}::{test}")), "{suite}::{test} is there twice");
            }
        }
    }
    let page = fs::read_to_string(here.join("../../docs/security.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let (mut listed, mut attacks) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
        let attack = cells[0].trim_matches('`').replace('-', "_");
        for test in cells[3].split(", ").map(|test| test.trim_matches('`')) {
            let (suite, name) = test.split_once("::").expect(row);
            assert!(SUITES.contains(&suite), "{row}");
            let more = name.strip_prefix(&attack).expect(row);
            assert!(more.is_empty() || more.starts_with('_'), "{row}");
            assert!(listed.insert(test.to_owned()), "{test} is there twice");
        }
        for (suite, applies) in SUITES.iter().zip([&cells[1], &cells[2]]) {
            let tried = listed.contains(&format!("{suite}::{attack}"));
            assert_eq!(tried, !applies.starts_with(NOTHING), "{suite}: {row}");
        }
        assert!(attacks.insert(attack), "{row} is there twice");
    }
    assert_eq!(listed, written);
    assert_eq!(attacks, list(&here.join("../../docs/spec/3-hardened.md")), "the specification's list");
}
