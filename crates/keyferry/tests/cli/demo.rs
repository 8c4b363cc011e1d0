//! `keyferry demo`.

use std::fs;

use serde_json::Value;

use crate::support::{
    folders::snapshot,
    tool::{keyferry, run, text},
};

fn checks(document: &Value) -> Vec<&str> {
    let checks = document["checks"].as_array().unwrap();
    for check in checks {
        assert_eq!(check["ok"], true, "{check}");
    }
    checks.iter().map(|check| check["name"].as_str().unwrap()).collect()
}

#[test]
fn the_demo_with_three_terminals_is_one_json_document_in_which_all_is_well() {
    let names = told(&[]);
    for name in ["substituted-key-refused", "lower-suite-refused"] {
        assert!(names.contains(&name.to_owned()), "suite 02 stops it: {name} is not in {names:?}");
    }
}

#[test]
fn the_demo_in_suite_01_says_what_that_suite_cannot_stop() {
    let names = told(&["--suite", "1"]);
    assert!(names.contains(&"substituted-key-seen".to_owned()), "{names:?}");
}

#[test]
fn the_demo_with_cards_on_two_tokens_pulls_one_out_and_packs_nothing_without_it() {
    let names = told(&["--cards", "softhsm"]);
    for name in [
        "card-taken-out-stops-collection",
        "nothing-packed-without-both-cards",
        "no-collection-with-one-token",
        "put-back-and-finished",
    ] {
        assert!(names.contains(&name.to_owned()), "{name} is not in {names:?}");
    }
    assert_eq!(run(&mut keyferry(["demo", "--cards", "paper"])).code, Some(2));
}

/// Tells the story; gives the names of its checks, all of which hold.
fn told(arguments: &[&str]) -> Vec<String> {
    let temporary = tempfile::Builder::new().prefix("kf").tempdir().unwrap();
    let mut command = keyferry(["demo", "--terminals", "3", "--json"]);
    command.args(arguments);
    let ran = run(command.env("TMPDIR", temporary.path()));
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "nothing is left behind");
    assert_eq!(ran.out.lines().count(), 1, "one document and nothing else");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["ok"], true);
    let names = checks(&document);
    let wanted = [
        "collected-under-two-cards",
        "one-card-refused",
        "forged-signature-refused",
        "unlisted-terminal-refused",
        "cut-line-gets-the-same-key",
        "killed-server-loses-nothing",
        "check-values-agree",
        "terminal-in-no-order-refused",
        "missing-terminal-named",
        "batch-changed-byte-refused",
        "batch-wrong-mac-refused",
        "batch-wrong-order-refused",
        "batch-serial-twice-refused",
        "order-reconciled",
        "factory-terminals-download",
        "audit-chain-unbroken",
    ];
    for name in wanted {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    // Names are for programs: each once.
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), names.len());
    let tried = |check: &&Value| check["attack"].is_string();
    assert!(document["checks"].as_array().unwrap().iter().filter(tried).count() > 15);
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn the_demo_is_a_story_for_people_and_keeps_its_folder_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let demo = || run(keyferry(["demo", "--terminals", "1", "--keep"]).arg(&kept));
    let said = demo().good();
    assert!(!said.contains("[FAILED]"), "{said}");
    let next = said.lines().filter(|line| line.trim_start().starts_with("keyferry ")).count();
    assert!(next >= 3, "next commands: {said}");
    let database = text(&kept.join("estate/keyferry.db"));
    assert!(said.contains(&database), "{said}");
    assert!(run(&mut keyferry(["audit", "verify", "--store", &database])).good().starts_with("good: "));
    // The story as JSON's table: terminal, slot, both check values.
    assert!(said.contains("DEMO-0001"), "{said}");

    let before = snapshot(&kept);
    demo().refused_with("is not empty; name a new folder");
    assert_eq!(snapshot(&kept), before);
}

#[test]
fn numbers_of_terminals_that_cannot_be_are_refused() {
    for number in ["0", "2001"] {
        run(&mut keyferry(["demo", "--terminals", number])).refused_with("--terminals takes 1 to 2000");
    }
    for number in ["-1", "many", "1.5", "99999999999999999999999"] {
        assert_eq!(run(&mut keyferry(["demo", &format!("--terminals={number}")])).code, Some(2));
    }
}

#[test]
fn a_folder_with_something_in_it_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter.txt"), "mine").unwrap();
    run(keyferry(["demo", "--terminals", "1", "--keep"]).arg(folder.path())).refused_with("is not empty");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
