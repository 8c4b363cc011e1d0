//! Help and usage errors, for every command there is.

use crate::support::tool::{keyferry, run};

/// All commands below these words, found as a person finds them: by asking for help.
fn commands(words: &[String]) -> Vec<Vec<String>> {
    let help = run(keyferry(words).arg("--help")).good();
    assert!(help.contains("Usage: keyferry"), "{help}");
    let listed = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
    let mut found = vec![words.to_vec()];
    for line in listed.lines().take_while(|line| !line.is_empty()) {
        // A description that is continued stands further in.
        let Some(word) = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')) else { continue };
        let (word, about) = word.split_once(' ').unwrap_or_else(|| panic!("{line:?} says nothing"));
        assert!(!about.trim().is_empty(), "{line:?} says nothing");
        if word != "help" {
            found.extend(commands(&[words, &[word.to_owned()]].concat()));
        }
    }
    found
}

#[test]
fn every_command_has_help_and_refuses_what_it_does_not_know() {
    let all = commands(&[]);
    let names: Vec<_> = all.iter().map(|words| words.join(" ")).collect();
    for name in [
        "demo",
        "init",
        "server",
        "hsm serve",
        "ca issue",
        "card change-pin",
        "kms work-key-install",
        "station approve",
        "mtms init",
        "mtms work-key-install",
        "mtms order add",
        "mtms dispatch",
        "mtms report",
        "mtms history",
        "station repair",
        "station window open",
        "terminal download",
        "terminal tms",
        "terminal sign-in",
        "terminal pin",
        "terminal mac",
        "tms vendor set",
        "tms package sign",
        "tms package approve",
        "tms package publish",
        "tms package withdraw",
        "tms deployment new",
        "tms deployment pause",
        "tms deployment resume",
        "tms deployment cancel",
        "tms group change",
        "tms operator unlock",
        "tms terminal",
        "host zone-key import",
        "host zone-key make",
        "host identity find",
        "hsm component combine",
        "kld run load",
        "rks dik1 export",
        "kms import",
        "calc pinblock encode",
        "audit verify",
        "calc keyblock wrap",
    ] {
        assert!(names.iter().any(|known| known == name), "{name} is not in {names:?}");
    }
    for words in all {
        let refused = run(keyferry(&words).arg("--no-such-option"));
        assert_eq!(refused.code, Some(2), "{words:?}");
        assert!(refused.err.contains("--no-such-option"), "{}", refused.err);
        assert!(refused.out.is_empty());
        if words != ["calc", "keyblock", "wrap"] {
            // There it is the key block's version.
            let version = run(keyferry(&words).arg("--version"));
            assert!(version.good().contains(env!("CARGO_PKG_VERSION")), "{words:?}");
        }
    }
}

#[test]
fn no_command_or_an_unknown_one_is_a_usage_error() {
    let nothing = run(&mut keyferry::<[&str; 0], &str>([]));
    assert_eq!(nothing.code, Some(2));
    assert!(nothing.err.contains("keyferry demo"), "says where to begin: {}", nothing.err);
    assert_eq!(run(&mut keyferry(["sing"])).code, Some(2));
    assert_eq!(run(&mut keyferry(["ca", "sing"])).code, Some(2));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    for arguments in
        [["server", "--config"], ["station", "collect"], ["audit", "verify"], ["kms", "terminals"]]
    {
        let mut command = keyferry(arguments);
        command.current_dir(env!("CARGO_TARGET_TMPDIR"));
        if arguments[1] == "--config" {
            command.arg("no-such.toml");
        }
        let ran = run(&mut command);
        assert_eq!(ran.code, Some(1), "{arguments:?}");
        let named = ["no-such.toml", "station.toml", "keyferry.toml", "keyferry.db"];
        assert!(named.iter().any(|name| ran.err.contains(name)), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_mistake() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child =
        keyferry(["calc", "--help"]).stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
    assert!(child.wait().unwrap().code().is_some());
    let estate = crate::support::estate::Estate::collected();
    for arguments in [
        ["audit", "show", "--store", "estate/keyferry.db"],
        ["kms", "terminals", "--config", "estate/keyferry.toml"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = keyferry(arguments);
        let started =
            command.current_dir(estate.folder()).stdout(writer).stderr(std::process::Stdio::piped()).spawn();
        let output = started.unwrap().wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(141), "{arguments:?}");
    }
}

#[test]
fn an_error_that_cannot_be_written_is_an_exit_code_still() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = keyferry(["calc", "keyblock", "parse", "B0000"]);
    assert_eq!(command.stderr(full.try_clone().unwrap()).status().unwrap().code(), Some(1));
    // Nor does output that cannot be written count as done.
    let estate = crate::support::estate::Estate::new();
    let mut command = keyferry(["ca", "list", "--ca"]);
    let ended = command.arg(estate.path("ca")).stdout(full).stderr(std::process::Stdio::piped()).spawn();
    let ended = ended.unwrap().wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("the output cannot be written"), "{said}");
}
