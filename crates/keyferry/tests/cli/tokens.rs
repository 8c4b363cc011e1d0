//! Cards and roots on real PKCS #11 tokens, by the command line.

use std::{fs, path::PathBuf, process::Command};

use crate::support::{
    estate::Estate,
    folders::{snapshot, write_secret},
    tokens::Tokens,
    tool::{Ran, keyferry, openssl, text},
};

/// What is written down for the test, by the file's name.
const SECRETS: [(&str, &str); 7] = [
    ("pin", "token-n3xj-pin"),
    ("new-pin", "token-b8ls-pin"),
    ("so-pin", "token-r2vq-officer"),
    ("ann", "2718"),
    ("bob", "3141"),
    ("so-ann", "1618"),
    ("so-bob", "1732"),
];

struct Bench {
    estate: Estate,
    tokens: Tokens,
}

impl Bench {
    fn new() -> Bench {
        let estate = Estate::new();
        let tokens = Tokens::in_folder(estate.folder());
        for (name, secret) in SECRETS {
            write_secret(&estate.secret(name), secret);
        }
        Bench { estate, tokens }
    }

    fn out(&self, name: &str) -> PathBuf {
        self.estate.folder().join(name)
    }

    /// `ca card --token`, for a new token of this label.
    fn card(&self, label: &str, role: &str) -> Ran {
        self.tokens.run(&mut self.card_command(label, role, true))
    }

    fn card_command(&self, label: &str, role: &str, blank: bool) -> Command {
        let mut command = self.estate.ca(&["card", "--subject", label, "--role", role, "--bits", "2048"]);
        command.args(["--token", &Tokens::uri(label)]).arg("--pin-file").arg(self.estate.secret("pin"));
        if blank {
            command.arg("--initialise").arg("--so-pin-file").arg(self.estate.secret("so-pin"));
        }
        command
    }

    fn keyferry(&self, arguments: &[&str]) -> Ran {
        self.tokens.run(&mut keyferry(arguments))
    }
}

#[test]
fn a_card_on_a_token_has_its_key_certificate_and_chain_and_a_receipt() {
    let bench = Bench::new();
    let receipt = bench.out("receipt.txt");
    let said =
        bench.tokens.run(bench.card_command("KF-ada", "operator", true).arg("--receipt").arg(&receipt));
    let said = said.good();
    let serial = said.lines().find_map(|line| line.strip_prefix("token KF-ada made ready, serial ")).unwrap();
    let written = fs::read_to_string(&receipt).unwrap();
    let wanted = format!("made on the token KF-ada, serial {serial}, which does not give it out");
    assert!(written.contains(&wanted), "{written}");
    assert!(said.contains(written.trim_end()), "{said}");
    let shown = bench.keyferry(&["card", "show", &Tokens::uri("KF-ada")]).good();
    for wanted in [&format!("KF-ada, serial {serial}"), "CN=KF-ada", "operator", "above it     CN=CLI root"] {
        assert!(shown.contains(wanted), "{wanted} is not in {shown}");
    }
    assert!(bench.tokens.util(&["--show-slots"]).contains("KF-ada"));
    // Nothing of the key came out: no file beside the token has a key, and none has the PIN.
    for (name, secret) in SECRETS {
        assert!(!said.contains(secret) && !written.contains(secret), "{name}");
    }
}

#[test]
fn a_token_that_is_blank_away_or_taken_is_named_and_nothing_is_certified() {
    let bench = Bench::new();
    let before = snapshot(&bench.estate.path("ca"));
    let not_ready = bench.tokens.run(&mut bench.card_command("KF-ada", "operator", false));
    let said = not_ready.refused();
    assert!(said.contains("KF-ada is not there") && said.contains("--initialise"), "{said}");
    bench.tokens.util(&[
        "--init-token",
        "--free",
        "--label",
        "KF-ada",
        "--so-pin",
        "12345678",
        "--pin",
        "123456",
    ]);
    bench.card("KF-ada", "operator").refused_with("a token KF-ada is there already; nothing was changed");
    let wrong = bench.tokens.run(&mut bench.card_command("KF-ada", "operator", false));
    wrong.refused_with("the PIN of the token KF-ada is wrong");
    let mut machine = bench.estate.ca(&["card", "--subject", "X", "--role", "kms-work"]);
    machine.args(["--token", &Tokens::uri("KF-ada")]);
    bench.tokens.run(&mut machine).refused_with("cards are for people who sign");
    let mut in_uri = bench.estate.ca(&["card", "--subject", "X", "--role", "operator"]);
    in_uri.args(["--token", &format!("{}&pin-value=123456", Tokens::uri("KF-ada"))]);
    assert_eq!(bench.tokens.run(&mut in_uri).code, Some(2), "no PIN in a URI");
    assert_eq!(snapshot(&bench.estate.path("ca")), before);
}

#[test]
fn a_tokens_key_is_made_by_its_holder_and_certified_from_files() {
    let bench = Bench::new();
    let uri = Tokens::uri("KF-max");
    let (request, certificate) = (bench.out("max.csr"), bench.out("max.crt"));
    let (pin, so_pin) = (text(&bench.estate.secret("pin")), text(&bench.estate.secret("so-pin")));
    let mut ask = keyferry(["card", "request", "--token", &uri, "--suite", "1", "--bits", "2048"]);
    ask.args(["--subject", "Max", "--pin-file", &pin, "--initialise", "--so-pin-file", &so_pin]);
    bench.tokens.run(ask.arg("--out").arg(&request)).good();
    openssl(["req", "-in", &text(&request), "-noout", "-verify"]).good();
    // The CA sees no token.
    let mut certify = bench.estate.ca(&["card", "--role", "administrator", "--subject", "Max"]);
    crate::support::tool::run(certify.arg("--request").arg(&request).arg("--out").arg(&certificate)).good();
    let (certificate, root) = (text(&certificate), text(&bench.estate.path("ca/root.pem")));
    let install = [
        "card",
        "install",
        "--token",
        &uri,
        "--certificate",
        &certificate,
        "--root",
        &root,
        "--pin-file",
        &pin,
    ];
    let away = bench.tokens.without(|| bench.keyferry(&install));
    away.refused_with("the token KF-max is not there");
    let said = bench.keyferry(&install).good();
    assert!(said.contains("made on the token KF-max, serial "), "{said}");
    let shown = bench.keyferry(&["card", "show", &uri]).good();
    assert!(shown.contains("administrator") && shown.contains("CN=Max"), "{shown}");
    // Another card's certificate is not put onto it.
    bench.card("KF-ada", "operator").good();
    let others = text(&bench.estate.path("ca/issued/0004.pem"));
    let mut wrong = install;
    wrong[5] = &others;
    bench.keyferry(&wrong).refused();
    assert_eq!(bench.keyferry(&["card", "show", &uri]).good(), shown);
}

#[test]
fn r35_a_tokens_pin_is_changed_and_wrong_ones_are_counted_by_the_token() {
    let bench = Bench::new();
    let uri = Tokens::uri("KF-ada");
    bench.card("KF-ada", "operator").good();
    let file = |name: &str| text(&bench.estate.secret(name));
    let change = |old: &str, new: &str| {
        bench.keyferry(&["card", "change-pin", &uri, "--pin-file", &file(old), "--new-pin-file", &file(new)])
    };
    change("new-pin", "pin").refused_with("the PIN of the token KF-ada is wrong");
    change("pin", "new-pin").good();
    change("pin", "new-pin").refused_with("the PIN of the token KF-ada is wrong");
    change("new-pin", "pin").good();
}

#[test]
fn r12_a_root_on_a_token_is_opened_by_both_parts_of_its_pin() {
    let bench = Bench::new();
    let folder = text(&bench.out("token-ca"));
    let secret = |name: &str| text(&bench.estate.secret(name));
    let uri = Tokens::uri("KF-root");
    let of = |names: [&str; 2]| names.map(secret);
    let (parts, officers) = (of(["ann", "bob"]), of(["so-ann", "so-bob"]));
    let mut root =
        keyferry(["ca", "root", "--ca", &folder, "--subject", "Root", "--token", &uri, "--initialise"]);
    root.args(["--two-people", "--custodian", "Ann", "--custodian", "Bob"]);
    for (option, files) in [("--ca-passphrase-file", &parts), ("--so-pin-file", &officers)] {
        for file in files {
            root.args([option, file]);
        }
    }
    let said = bench.tokens.run(&mut root).good();
    assert!(said.contains("its key is on pkcs11:token=KF-root;serial="), "{said}");
    assert!(!bench.out("token-ca/root.key.pem").exists());
    let crl = |files: &[&String]| {
        let mut command = keyferry(["ca", "crl", "--ca", &folder]);
        for file in files {
            command.args(["--ca-passphrase-file", file]);
        }
        bench.tokens.run(&mut command)
    };
    let [ann, bob] = &parts;
    crl(&[ann]).refused_with("two people keep this CA, Ann and Bob");
    crl(&[ann, ann]).refused_with("both gave the same secret");
    crl(&[bob, ann]).refused_with("the PIN of the token KF-root is wrong");
    bench.tokens.without(|| crl(&[ann, bob])).refused_with("the token KF-root is not there");
    crl(&[ann, bob]).good();
    let listed = bench.keyferry(&["ca", "list", "--ca", &folder]).good();
    assert!(listed.contains("the root's key was made on pkcs11:token=KF-root"), "{listed}");
    assert!(listed.contains("kept by Ann and Bob"), "{listed}");
    openssl(["crl", "-in", &text(&bench.out("token-ca/crl.pem")), "-noout"]).good();
}

#[test]
fn r12_a_token_of_two_people_has_no_pin_that_one_of_them_knows_whole() {
    let bench = Bench::new();
    let folder = text(&bench.out("token-ca"));
    let uri = Tokens::uri("KF-root");
    let root = |officers: &[&str]| {
        let mut command =
            keyferry(["ca", "root", "--ca", &folder, "--subject", "Root", "--token", &uri, "--initialise"]);
        command.args(["--two-people", "--custodian", "Ann", "--custodian", "Bob"]);
        for part in ["ann", "bob"] {
            command.arg("--ca-passphrase-file").arg(bench.estate.secret(part));
        }
        for officer in officers {
            command.arg("--so-pin-file").arg(bench.estate.secret(officer));
        }
        bench.tokens.run(&mut command)
    };
    root(&["so-pin"]).refused_with("two people keep this CA, Ann and Bob");
    root(&["so-ann", "so-ann"]).refused_with("both gave the same secret");
    assert!(!bench.tokens.util(&["--show-slots"]).contains("KF-root"), "no token was made ready");
    assert!(!bench.out("token-ca").exists());
}

#[test]
fn a_root_of_suite_01_on_a_token_that_is_ready_certifies_for_one_person() {
    let bench = Bench::new();
    let folder = text(&bench.out("token-ca"));
    bench.tokens.util(&[
        "--init-token",
        "--free",
        "--label",
        "KF-root",
        "--so-pin",
        "12345678",
        "--pin",
        "123456",
    ]);
    write_secret(&bench.estate.secret("pin"), "123456");
    let (uri, pin) = (Tokens::uri("KF-root"), text(&bench.estate.secret("pin")));
    let arguments = ["--ca", &folder, "--ca-passphrase-file", &pin];
    let of_suite_01 = ["ca", "root", "--subject", "Root", "--suite", "1", "--bits", "2048", "--token", &uri];
    bench.keyferry(&[&of_suite_01[..], &arguments].concat()).good();
    // The key that is there stays: no second root on it.
    let other = text(&bench.out("again"));
    let again = [&of_suite_01[..], &["--ca", &other, "--ca-passphrase-file", &pin]].concat();
    bench.keyferry(&again).refused_with("has a key root already; nothing was changed");
    let (card, card_pin) = (text(&bench.out("card.pem")), text(&bench.estate.secret("new-pin")));
    let issue =
        ["ca", "card", "--subject", "Ada", "--role", "operator", "--bits", "2048", "--pin-file", &card_pin];
    bench.keyferry(&[&issue[..], &["--out", &card], &arguments].concat()).good();
    let (root, crl) = (format!("{folder}/root.pem"), format!("{folder}/crl.pem"));
    openssl(["verify", "-CAfile", &root, "-crl_check", "-CRLfile", &crl, &card]).good();
}

#[test]
fn r12_a_handing_over_of_a_token_that_a_crash_broke_off_is_ended_by_running_it_again() {
    let bench = Bench::new();
    let folder = text(&bench.out("token-ca"));
    let secret = |name: &str| text(&bench.estate.secret(name));
    let uri = Tokens::uri("KF-root");
    let mut root =
        keyferry(["ca", "root", "--ca", &folder, "--subject", "Root", "--token", &uri, "--initialise"]);
    root.args(["--two-people", "--custodian", "Ann", "--custodian", "Bob"]);
    for (option, file) in [
        ("--ca-passphrase-file", "ann"),
        ("--ca-passphrase-file", "bob"),
        ("--so-pin-file", "so-ann"),
        ("--so-pin-file", "so-bob"),
    ] {
        root.args([option, &secret(file)]);
    }
    bench.tokens.run(&mut root).good();
    let with = |arguments: &[&str], files: [(&str, &str); 2]| {
        let mut command = keyferry(["ca"]);
        command.args(arguments).args(["--ca", &folder]);
        for (option, file) in files {
            command.args([option, &secret(file)]);
        }
        command
    };
    let (old, new) = (["ann", "bob"], ["so-ann", "so-bob"]);
    let opened_by = |parts: [&str; 2]| {
        bench.tokens.run(&mut with(&["crl"], parts.map(|part| ("--ca-passphrase-file", part))))
    };
    let hand_over = || {
        let to = ["hand-over", "--two-people", "--custodian", "Eve", "--custodian", "Joe"];
        let mut command = with(&to, old.map(|part| ("--ca-passphrase-file", part)));
        for part in new {
            command.args(["--new-passphrase-file", &secret(part)]);
        }
        bench.tokens.run(&mut command)
    };
    hand_over().good();
    // As a crash leaves it after the PIN was changed: the log's last line is not there.
    let log = fs::read_to_string(bench.out("token-ca/log")).unwrap();
    let last = log.trim_end().rfind('\n').unwrap();
    fs::write(bench.out("token-ca/log"), &log[..=last]).unwrap();
    for parts in [old, new] {
        opened_by(parts).refused_with("from Ann and Bob to Eve and Joe was broken off");
    }
    assert!(hand_over().good().contains("kept by Eve and Joe"));
    opened_by(new).good();
}
