//! R31: every kind of event that the server and its commands write is looked for by some test. Read from the sources, so
//! that an event that somebody adds, or stops writing, does not go unnoticed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Texts of the same form that are no events: settings, files, and commands of the demo.
const NO_EVENTS: [&str; 10] = [
    "acquirer.id",
    "https.listen",
    "interrupted.list",
    "partners.name",
    "posp.clients",
    "posp.listen",
    "rks.slots",
    "terminals.list",
    "trust.roots",
    "zone-key.block",
];
/// Ends of names of files.
const FILES: [&str; 14] = [
    "block",
    "bin",
    "crt",
    "csr",
    "db",
    "json",
    "key",
    "key-block",
    "log",
    "pem",
    "rs",
    "sock",
    "sqlite",
    "toml",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(sources(&entry));
        } else if entry.extension().is_some_and(|end| end == "rs") {
            found.push(entry);
        }
    }
    found
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}

/// The texts of a source that have the form of an event's kind.
fn kinds(source: &str) -> impl Iterator<Item = &str> {
    source.split('"').filter(|text| {
        let Some((area, what)) = text.split_once('.') else { return false };
        let word = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_lowercase())
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        word(area) && word(what) && !FILES.contains(&what) && !NO_EVENTS.contains(text)
    })
}

#[test]
fn r31_every_kind_of_event_is_looked_for_by_a_test() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut written, mut looked_for) = (BTreeSet::new(), String::new());
    for folder in ["server", "keyferry", "store"] {
        for path in sources(&crates.join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            if is_test(&path) {
                // Not this one: it knows no kinds.
                looked_for.push_str(&text);
            } else if folder != "store" {
                let (product, tests) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
                written.extend(kinds(product).map(str::to_owned));
                looked_for.push_str(tests);
            }
        }
    }
    assert!(written.len() > 50, "{written:?}");
    let missing: Vec<_> = written
        .iter()
        .filter(|kind| ['"', '\''].iter().all(|q| !looked_for.contains(&format!("{q}{kind}{q}"))))
        .collect();
    assert_eq!(missing, Vec::<&String>::new(), "written by the product, and looked for by no test");
}
