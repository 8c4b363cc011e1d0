//! A CA that two people keep, by the command line: each refusal by name, and nothing changed by it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{
    folders::{snapshot, write_secret},
    tool::{Ran, keyferry, openssl, run, text},
};

struct Two {
    folder: tempfile::TempDir,
}

impl Two {
    fn new() -> Two {
        let two = Two { folder: tempfile::tempdir().unwrap() };
        for (name, secret) in [("ann", "ann's own passphrase"), ("bob", "bob's own passphrase")] {
            write_secret(&two.path(name), secret);
        }
        two
    }

    fn made() -> Two {
        let two = Two::new();
        two.root(&["--two-people", "--custodian", "Ann", "--custodian", "Bob"], &["ann", "bob"]).good();
        two
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn root(&self, options: &[&str], secrets: &[&str]) -> Ran {
        run(self.ca(&["root", "--subject", "Root"], secrets).args(options))
    }

    fn ca(&self, arguments: &[&str], secrets: &[&str]) -> Command {
        let mut command = keyferry(["ca"]);
        command.args(arguments).arg("--ca").arg(self.path("ca"));
        for secret in secrets {
            command.arg("--ca-passphrase-file").arg(self.path(secret));
        }
        command
    }
}

#[test]
fn r12_nothing_the_ca_does_is_done_for_one_custodian() {
    let two = Two::made();
    let request = two.path("request.csr");
    let key = text(&two.path("key.pem"));
    let new =
        ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=X"];
    openssl(new.iter().copied().chain(["-keyout", &key, "-out", &text(&request)])).good();
    let (request, out) = (text(&request), text(&two.path("out.pem")));
    let pin = text(&two.path("ann"));
    let acts: [&[&str]; 6] = [
        &["issue", "--role", "kms-work", "--request", &request, "--out", &out],
        &["tls", "--server-name", "localhost", "--request", &request, "--out", &out],
        &["card", "--subject", "X", "--role", "operator", "--pin-file", &pin, "--out", &out],
        &["card", "--subject", "X", "--request", &request, "--role", "operator", "--out", &out],
        &["revoke", "--serial", "01"],
        &["crl"],
    ];
    let before = snapshot(&two.path("ca"));
    for act in acts {
        for alone in ["ann", "bob"] {
            run(&mut two.ca(act, &[alone])).refused_with("two people keep this CA, Ann and Bob");
            run(&mut two.ca(act, &[alone, alone])).refused_with("both gave the same secret");
        }
        run(&mut two.ca(act, &["bob", "ann"])).refused_with("wrong order (Ann and Bob)");
        run(&mut two.ca(act, &["ann", "bob", "bob"])).refused_with("once for each, or not at all");
        assert!(!Path::new(&out).exists());
    }
    assert_eq!(snapshot(&two.path("ca")), before);
    run(&mut two.ca(acts[0], &["ann", "bob"])).good();
    let listed = run(keyferry(["ca", "list", "--ca"]).arg(two.path("ca"))).good();
    assert!(listed.contains("kept by Ann and Bob") && listed.contains("kms-work"), "{listed}");
}

#[test]
fn r12_a_root_of_two_people_is_not_made_by_one() {
    let two = Two::new();
    let named = |first, second| ["--two-people", "--custodian", first, "--custodian", second];
    two.root(&named("Ann", " ann "), &["ann", "bob"]).refused_with("Ann is named twice");
    two.root(&named("Ann", "Bob"), &["ann", "ann"]).refused_with("both gave the same secret");
    two.root(&named("Ann", "Bob"), &["ann"]).refused_with("two people keep this CA, Ann and Bob");
    two.root(&named("Ann", "Bob")[..3], &["ann", "bob"]).refused_with("give --custodian NAME twice");
    two.root(&[], &["ann", "bob"]).refused_with("this CA has one passphrase");
    assert_eq!(two.root(&["--two-people"], &["ann", "bob"]).code, Some(2));
    assert_eq!(two.root(&["--custodian", "Ann"], &["ann"]).code, Some(2));
    assert!(!two.path("ca").exists());
}

#[test]
fn r12_a_ca_is_handed_over_by_both_to_two_and_never_to_one() {
    let two = Two::made();
    for (name, secret) in [("eve", "eve's own passphrase"), ("joe", "joe's own passphrase")] {
        write_secret(&two.path(name), secret);
    }
    let to = |old: &[&str], new: &[&str], people: &[&str]| {
        let mut command = two.ca(&["hand-over"], old);
        for secret in new {
            command.arg("--new-passphrase-file").arg(two.path(secret));
        }
        run(command.args(people))
    };
    let eve_and_joe = ["--two-people", "--custodian", "Eve", "--custodian", "Joe"];
    let before = snapshot(&two.path("ca"));
    to(&["ann"], &["eve", "joe"], &eve_and_joe).refused_with("two people keep this CA, Ann and Bob");
    to(&["ann", "bob"], &["eve"], &[]).refused_with("two people keep this CA, Ann and Bob");
    to(&["ann", "bob"], &["eve", "eve"], &eve_and_joe).refused_with("both gave the same secret");
    assert_eq!(snapshot(&two.path("ca")), before);
    let said = to(&["ann", "bob"], &["eve", "joe"], &eve_and_joe).good();
    assert!(
        said.contains("kept by Eve and Joe from now on") && said.contains("destroy every copy"),
        "{said}"
    );
    run(&mut two.ca(&["crl"], &["ann", "bob"])).refused_with("(Eve and Joe)");
    run(&mut two.ca(&["crl"], &["eve", "joe"])).good();
}

#[test]
fn the_mtms_card_signs_and_its_hsm_agrees_each_with_a_certificate_of_its_own() {
    let two = Two::made();
    let request = text(&two.path("m.csr"));
    let mut card = keyferry(["card", "request", "--subject", "MTMS"]);
    card.arg(two.path("m.pem")).arg("--pin-file").arg(two.path("ann"));
    run(card.arg("--out").arg(&request)).good();
    let usage = |path: &str| openssl(["x509", "-noout", "-ext", "keyUsage", "-in", path]).good();
    let both = ["ann", "bob"];
    let (signing, agreement) = (text(&two.path("signing.pem")), text(&two.path("agreement.pem")));
    let certify = |act: &str, out: &str| {
        let subject: &[&str] = if act == "card" { &["--subject", "MTMS"] } else { &[] };
        run(two.ca(&[act, "--role", "mtms", "--request", &request, "--out", out], &both).args(subject))
    };
    certify("card", &signing).good();
    assert!(usage(&signing).contains("Digital Signature"), "{}", usage(&signing));
    // One key, one use.
    certify("issue", &agreement).refused_with("this key has the mtms certificate");
    let mut card = keyferry(["card", "request", "--subject", "MTMS HSM"]);
    card.arg(two.path("h.pem")).arg("--pin-file").arg(two.path("ann"));
    let (hsm, out) = (text(&two.path("h.csr")), agreement);
    run(card.arg("--out").arg(&hsm)).good();
    run(&mut two.ca(&["issue", "--role", "mtms", "--request", &hsm, "--out", &out], &both)).good();
    assert!(usage(&out).contains("Key Agreement"), "{}", usage(&out));
    // It is no card's: its holder learns it when it is installed, and not at the factory.
    let mut install = keyferry(["card", "install"]);
    install.arg(two.path("h.pem")).arg("--certificate").arg(&out).arg("--pin-file").arg(two.path("ann"));
    run(install.arg("--root").arg(two.path("ca/root.pem")))
        .refused_with("ask the CA for `ca card --request`");
    let before = fs::read(two.path("h.pem")).unwrap();
    assert!(!before.is_empty());
}
