//! The table of `docs/security.md` names every attack's test, and every attack's test is in it.

use std::{collections::BTreeSet, fs, path::Path};

/// Attacks of the list that are suite 02's alone: in the table, not here yet.
const SUITE_02_ALONE: [&str; 2] = ["borrowed_certificate", "downgrade"];

/// The functions under `#[test]` in a file's text.
fn tests(text: &str) -> Vec<String> {
    let after = text.split("#[test]\n").skip(1);
    after
        .map(|rest| rest.trim_start().trim_start_matches("fn ").split('(').next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_table_and_the_tests_name_the_same_attacks() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut written = BTreeSet::new();
    for entry in fs::read_dir(here.join("tests/attacks")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() != "table.rs" {
            for test in tests(&fs::read_to_string(path).unwrap()) {
                assert!(written.insert(test.clone()), "{test} is there twice");
            }
        }
    }
    let page = fs::read_to_string(here.join("../../docs/security.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let mut listed = BTreeSet::new();
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
        let name = cells[0].trim_matches('`').replace('-', "_");
        if SUITE_02_ALONE.contains(&name.as_str()) {
            assert!(!cells[3].contains('`'), "{row}");
            continue;
        }
        assert_eq!(cells[3].trim_matches('`'), name, "{row}");
        assert!(listed.insert(name), "{row} is there twice");
    }
    assert_eq!(listed, written);
}
