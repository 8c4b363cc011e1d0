//! `docs/ceremonies.md`, typed as it stands: every command, every prompt, every line that it promises.

use std::{fs, path::Path};

use crate::support::{
    tokens,
    tool::text,
    typing::{Typing, network_can_be_taken_away},
};

/// Who types what, by the prompt: the first that is in it. A PIN is its holder's; the page has one holder at a time.
const SECRETS: [(&str, &str); 9] = [
    ("security officer's PIN part of Ann Meyer", "ann-x5-officer"),
    ("security officer's PIN part of Bob Ray", "bob-k9-officer"),
    ("security officer's PIN", "safe-v2wd-officer"),
    ("PIN part of Ann Meyer", "ann-q7-part"),
    ("PIN part of Bob Ray", "bob-e4-part"),
    ("passphrase of Ann Meyer", "ann-pz4w-passphrase-h2kd"),
    ("passphrase of Bob Ray", "bob-t8vn-passphrase-c6xq"),
    ("passphrase of Joe May", "joe-n8rc-passphrase-u3mb"),
    ("card PIN", "holder-m3ye-pin-r7fj"),
];

/// A command of the page and what it shows, line by line.
struct Step {
    command: String,
    shows: Vec<String>,
}

/// What stands in the page's blocks of the kind `console`.
fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::<Step>::new();
    let blocks = page.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    for line in blocks.flat_map(str::lines) {
        match line.strip_prefix("$ ") {
            Some(command) => steps.push(Step { command: command.to_owned(), shows: Vec::new() }),
            None => steps.last_mut().unwrap().shows.push(line.to_owned()),
        }
    }
    steps
}

fn play(folder: &Path, step: &Step) {
    let config = folder.join("softhsm2.conf");
    let mut typing = Typing::start(folder, &step.command, &[("SOFTHSM2_CONF", &config)]);
    for line in &step.shows {
        if let Some(prompt) = line.strip_suffix("****") {
            typing.sees(prompt.trim_end());
            let asked = prompt.trim_end().trim_end_matches(':');
            let answer = SECRETS.iter().find(|(what, _)| asked.contains(what));
            typing.types_unseen(answer.unwrap_or_else(|| panic!("nobody answers {line:?}")).1);
        } else {
            line.split('…').map(str::trim).filter(|part| !part.is_empty()).for_each(|part| typing.sees(part));
        }
    }
    let (well, screen) = typing.ends();
    assert!(well, "{}:\n{screen}", step.command);
    for (whose, secret) in SECRETS {
        assert!(!screen.contains(secret), "{whose} was shown:\n{screen}");
    }
}

#[test]
fn r14_the_page_of_ceremonies_is_what_happens_and_no_secret_is_ever_shown() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ceremonies.md")).unwrap();
    // The page has the module where Debian has it.
    let page = page.replace("/usr/lib/softhsm/libsofthsm2.so", &text(&tokens::module()));
    let steps = steps(&page);
    assert!(steps.len() >= 9, "{}", steps.len());
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("stick")).unwrap();
    tokens::Tokens::in_folder(folder.path());
    for step in &steps {
        play(folder.path(), step);
    }
    // Nothing on the memory stick that is carried about is a secret in clear, nor anything in the receipts.
    for file in crate::support::folders::files(folder.path()) {
        let bytes = fs::read(&file).unwrap();
        for (whose, secret) in SECRETS {
            let found = memchr::memmem::find(&bytes, secret.as_bytes());
            assert_eq!(found, None, "{whose} in {}", file.display());
        }
    }
}

#[test]
fn r23_where_a_network_can_be_taken_away_the_ceremonies_ran_without_one() {
    if !network_can_be_taken_away() {
        // Then `cargo xtask tidy` alone says it: no network code in custody, nor in these commands.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut shown = Typing::start(folder.path(), "cat /proc/net/dev", &[]);
    shown.sees("lo:");
    let (_, screen) = shown.ends();
    assert_eq!(screen.matches(':').count(), 1, "no interface but the loopback: {screen}");
}
