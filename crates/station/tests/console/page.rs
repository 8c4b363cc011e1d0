//! `docs/console.md`: its pictures are what the console shows.

use std::{fmt::Write as _, fs, path::PathBuf};

use crate::situations;

/// Set to write the pictures anew.
const REWRITE: &str = "KEYFERRY_WRITE_SCREENS";
const MARK: &str = "<!-- screen: ";
const FENCE: &str = "```";

fn page() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "docs", "console.md"].iter().collect()
}

/// The page with each picture as the console draws it now, and the names of those that stand there.
fn drawn(page: &str) -> (String, Vec<String>) {
    let screens = situations::all();
    let (mut text, mut named) = (String::new(), Vec::new());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        writeln!(text, "{line}").unwrap();
        let Some(name) = line.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        let (_, (width, height), desk) = screens
            .iter()
            .find(|(found, ..)| *found == name)
            .unwrap_or_else(|| panic!("docs/console.md: there is no situation {name:?}"));
        assert_eq!(lines.next(), Some("```text"), "docs/console.md: a picture follows {name}");
        let closed = lines.by_ref().any(|line| line == FENCE);
        assert!(closed, "docs/console.md: the picture of {name} has no end");
        writeln!(text, "{FENCE}text\n{}\n{FENCE}", desk.screen(*width, *height)).unwrap();
        named.push(name.to_owned());
    }
    (text, named)
}

#[test]
fn the_page_shows_every_situation_as_it_is() {
    let before = fs::read_to_string(page()).unwrap();
    let (now, named) = drawn(&before);
    let every: Vec<_> = situations::all().iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(named, every, "each situation stands on the page once, in this order");
    if std::env::var_os(REWRITE).is_some() {
        fs::write(page(), now).unwrap();
        return;
    }
    assert!(
        before == now,
        "the pictures of docs/console.md are not what the console shows. Look at what it shows now, and if that is \
         right, write them anew:\n\n    {REWRITE}=1 cargo test -p keyferry-station --test console\n\n{now}"
    );
}
