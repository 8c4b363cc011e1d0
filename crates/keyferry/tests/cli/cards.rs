//! `keyferry card`: what holders do with their cards, and the receipts that they sign.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::support::{
    estate::Estate,
    folders::{mode, snapshot, write_secret},
    tool::{Ran, keyferry, openssl, run, text},
};

const PIN: &str = "holder-q5gd-pin-x8zr";

/// A key and a request of suite 01, as the estate's CA is.
fn request(estate: &Estate, name: &str) -> (PathBuf, PathBuf) {
    write_secret(&estate.secret("pin"), PIN);
    let (card, request) =
        (estate.folder().join(format!("{name}.pem")), estate.folder().join(format!("{name}.csr")));
    let mut command = keyferry(["card", "request", "--suite", "1", "--bits", "2048", "--subject", name]);
    command.arg(&card).arg("--pin-file").arg(estate.secret("pin")).arg("--out").arg(&request);
    run(&mut command).good();
    (card, request)
}

/// Certifies the request of the person whose name the file has.
fn certify(estate: &Estate, request: &Path, role: &str, out: &Path) -> Ran {
    let name = request.file_stem().unwrap().to_str().unwrap();
    run(estate
        .ca(&["card", "--role", role, "--subject", name])
        .arg("--request")
        .arg(request)
        .arg("--out")
        .arg(out))
}

fn install(estate: &Estate, card: &Path, certificate: &Path, root: &Path) -> Ran {
    let mut command = keyferry(["card", "install"]);
    command.arg(card).arg("--certificate").arg(certificate).arg("--root").arg(root);
    run(command.arg("--pin-file").arg(estate.secret("pin")))
}

#[test]
fn a_key_stays_with_its_holder_while_request_and_certificate_travel() {
    let estate = Estate::new();
    let (card, request) = request(&estate, "Ada");
    assert_eq!(mode(&card), 0o600);
    run(keyferry(["card", "show"]).arg(&card)).refused_with("holds no certificate");
    openssl(["req", "-in", &text(&request), "-noout", "-verify"]).good();

    let (certificate, root) = (estate.folder().join("ada.crt"), estate.path("ca/root.pem"));
    let receipt = estate.folder().join("ada.txt");
    let mut certify = estate.ca(&["card", "--role", "operator", "--subject", "Ada"]);
    certify.arg("--request").arg(&request).arg("--out").arg(&certificate).arg("--receipt").arg(&receipt);
    let said = run(&mut certify).good();
    let written = fs::read_to_string(&receipt).unwrap();
    assert!(said.contains(written.trim_end()), "what is printed is what is written");
    let sha256 = openssl(["x509", "-noout", "-fingerprint", "-sha256", "-in", &text(&certificate)]).good();
    let sha256 = sha256.trim_end().split('=').nth(1).unwrap().replace(':', "").to_lowercase();
    let serial = openssl(["x509", "-noout", "-serial", "-in", &text(&certificate)]).good();
    let serial = serial.trim_end().strip_prefix("serial=").unwrap().to_owned();
    for wanted in ["CN=Ada", "operator", &sha256, &serial, "the CA saw the request only", "signature ____"] {
        assert!(written.contains(wanted), "{wanted} is not in:\n{written}");
    }

    let said = install(&estate, &card, &certificate, &root).good();
    assert!(said.contains("under the root") && said.contains("in the file"), "{said}");
    assert_eq!(mode(&card), 0o600);
    let shown = run(keyferry(["card", "show"]).arg(&card)).good();
    assert!(shown.contains(&serial) && shown.contains(&sha256) && shown.contains("operator"), "{shown}");
    openssl(["pkey", "-in", &text(&card), "-passin", &format!("pass:{PIN}"), "-noout"]).good();

    // Renewed for the same key, in its place.
    let renewed = estate.folder().join("ada-2.crt");
    self::certify(&estate, &request, "operator", &renewed).good();
    install(&estate, &card, &renewed, &root).good();
    assert!(!run(keyferry(["card", "show"]).arg(&card)).good().contains(&serial));
}

#[test]
fn a_certificate_that_is_not_this_cards_is_not_installed() {
    let estate = Estate::new();
    let (card, request) = request(&estate, "Ada");
    let (_, others) = self::request(&estate, "Max");
    let root = estate.path("ca/root.pem");
    let out = |name: &str| estate.folder().join(name);
    let before = fs::read(&card).unwrap();

    certify(&estate, &others, "operator", &out("max.crt")).good();
    install(&estate, &card, &out("max.crt"), &root).refused_with("the key is not the one");
    // No person's role.
    let issue = |role: &str, request: &Path, name: &str| {
        run(estate.ca(&["issue", "--role", role]).arg("--request").arg(request).arg("--out").arg(out(name)))
    };
    let third = self::request(&estate, "Work");
    issue("kms-work", &third.1, "work.crt").good();
    install(&estate, &third.0, &out("work.crt"), &root).refused_with("the certificate is for no card");
    certify(&estate, &third.1, "kms-work", &out("never.crt")).refused_with("cards are for people who sign");
    // Another CA's.
    certify(&estate, &request, "operator", &out("ada.crt")).good();
    let other = estate.folder().join("other");
    let mut root_of_others =
        keyferry(["ca", "root", "--subject", "Other", "--suite", "1", "--bits", "2048", "--ca"]);
    root_of_others.arg(&other).arg("--ca-passphrase-file").arg(estate.secret("ca-passphrase"));
    run(&mut root_of_others).good();
    install(&estate, &card, &out("ada.crt"), &other.join("root.pem")).refused();
    // Nobody's, and with a wrong PIN.
    fs::write(out("empty.crt"), "").unwrap();
    install(&estate, &card, &out("empty.crt"), &root).refused_with("empty.crt");
    write_secret(&estate.secret("pin"), "another pin");
    install(&estate, &card, &out("ada.crt"), &root).refused_with("the PIN or passphrase is wrong");
    assert_eq!(fs::read(&card).unwrap(), before, "the card is as it was");
}

#[test]
fn a_pin_is_changed_by_who_knows_it() {
    let estate = Estate::new();
    let card = estate.path("cards/operator.pem");
    write_secret(&estate.secret("new-pin"), PIN);
    let change = |old: &str, new: &str| {
        let mut command = keyferry(["card", "change-pin"]);
        command.arg(&card).arg("--pin-file").arg(estate.secret(old));
        run(command.arg("--new-pin-file").arg(estate.secret(new)))
    };
    let shown = || run(keyferry(["card", "show"]).arg(&card)).good();
    let before = shown();
    change("administrator-pin", "new-pin").refused_with("the PIN or passphrase is wrong");
    write_secret(&estate.secret("short"), "12345");
    change("operator-pin", "short").refused_with("fewer than 6 characters");
    change("operator-pin", "new-pin").good();
    change("operator-pin", "new-pin").refused_with("the PIN or passphrase is wrong");
    assert_eq!(shown(), before, "the same key and certificate");
    assert_eq!(mode(&card), 0o600);
}

#[test]
fn what_is_there_already_is_not_written_over() {
    let estate = Estate::new();
    let (card, request) = request(&estate, "Ada");
    let taken = estate.folder().join("taken");
    fs::write(&taken, "mine").unwrap();
    let mut again = keyferry(["card", "request", "--subject", "Ada"]);
    again.arg(&card).arg("--pin-file").arg(estate.secret("pin"));
    run(again.arg("--out").arg(estate.folder().join("again.csr")))
        .refused_with("exists; nothing was changed");
    let out = estate.folder().join("ada.crt");
    let mut certify = estate.ca(&["card", "--role", "operator", "--subject", "Ada"]);
    certify.arg("--request").arg(&request).arg("--out").arg(&out).arg("--receipt").arg(&taken);
    run(&mut certify).refused_with("taken exists; nothing was changed");
    assert!(!out.exists(), "a receipt that cannot be written is known before anything is signed");
    assert_eq!(fs::read(&taken).unwrap(), b"mine");
}

#[test]
fn a_request_in_another_name_is_not_certified() {
    let estate = Estate::new();
    let (_, request) = request(&estate, "Ada");
    let out = estate.folder().join("ada.crt");
    let before = snapshot(&estate.path("ca"));
    let named = |who: &[&str]| {
        let mut command = estate.ca(&[&["card", "--role", "operator"], who].concat());
        run(command.arg("--request").arg(&request).arg("--out").arg(&out))
    };
    named(&["--subject", "Max"]).refused_with("the request names CN=Ada, not CN=Max: nothing was certified");
    named(&["--subject", "Ada", "--organisation", "Bank"]).refused_with("not CN=Ada,O=Bank");
    assert_eq!(named(&[]).code, Some(2));
    assert!(!out.exists());
    assert_eq!(snapshot(&estate.path("ca")), before);
    named(&["--subject", "Ada"]).good();
}
