//! `keyferry init`.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::support::{
    estate::{Estate, SECRETS, init},
    folders::{mode, snapshot, write_secret},
    scan,
    tool::{keyferry, openssl, run, text},
};

#[test]
fn a_folder_with_something_in_it_is_refused_and_not_changed() {
    let estate = Estate::empty();
    fs::create_dir(estate.path("")).unwrap();
    fs::write(estate.path("letter.txt"), "mine").unwrap();
    let before = snapshot(estate.folder());
    init(&estate.path(""), &estate.secrets()).refused_with("is not empty; nothing was changed");
    assert_eq!(snapshot(estate.folder()), before);
}

#[test]
fn a_second_init_on_the_same_folder_is_refused_and_changes_nothing() {
    let estate = Estate::new();
    let before = snapshot(estate.folder());
    init(&estate.path(""), &estate.secrets()).refused_with("is not empty; nothing was changed");
    assert_eq!(snapshot(estate.folder()), before);
}

#[test]
fn what_is_secret_is_for_its_owner_alone() {
    let estate = Estate::new();
    let private = [
        "hsm/lmk.sealed",
        "keyferry.db",
        "ca/root.key.pem",
        "cards/operator.pem",
        "cards/administrator.pem",
        "tls/server.key-block",
    ];
    for name in private {
        assert_eq!(mode(&estate.path(name)), 0o600, "{name}");
    }
    for name in ["hsm", "run"] {
        assert_eq!(mode(&estate.path(name)), 0o700, "{name}");
    }
    // What others need is for all to read, and nobody else writes to it.
    for name in ["ca/root.pem", "ca/crl.pem", "work-certificate.pem", "keyferry.toml", "station.toml"] {
        assert_eq!(mode(&estate.path(name)), 0o644, "{name}");
    }
}

#[test]
fn no_secret_lies_in_the_estate() {
    let estate = Estate::new();
    let needles: Vec<_> = SECRETS.iter().map(|(name, secret)| scan::raw(name, secret.as_bytes())).collect();
    assert_eq!(scan::found_in_files(&estate.path(""), &needles), Vec::<String>::new());
    let mut files = Vec::new();
    for (name, secret) in SECRETS {
        files.extend(scan::found_in(fs::read_to_string(estate.secret(name)).unwrap().as_bytes(), &needles));
        assert!(secret.len() > 12);
    }
    assert_eq!(files.len(), SECRETS.len(), "the scan finds what is there");
}

#[test]
fn openssl_agrees_with_everything_that_was_issued() {
    let estate = Estate::new();
    let root = text(&estate.path("ca/root.pem"));
    let crl = text(&estate.path("ca/crl.pem"));
    let mut issued: Vec<_> =
        fs::read_dir(estate.path("ca/issued")).unwrap().map(|e| e.unwrap().path()).collect();
    issued.push(estate.path("work-certificate.pem"));
    issued.push(estate.path("tls/server.pem"));
    assert_eq!(issued.len(), 6);
    for path in &issued {
        let verified =
            openssl(["verify", "-CAfile", &root, "-crl_check", "-CRLfile", &crl, &text(path)]).good();
        assert!(verified.contains("OK"), "{verified}");
    }
    let tls = text(&estate.path("tls/server.pem"));
    openssl(["verify", "-CAfile", &root, "-purpose", "sslserver", "-verify_ip", "127.0.0.1", &tls]).good();
    openssl(["verify", "-CAfile", &root, "-purpose", "sslserver", "-verify_hostname", "localhost", &tls])
        .good();
    let names =
        openssl(["x509", "-noout", "-subject", "-in", &text(&estate.path("work-certificate.pem"))]).good();
    assert!(names.contains("CLI KMS work key"), "{names}");
    openssl(["crl", "-noout", "-verify", "-CAfile", &root, "-in", &crl]).good();
}

#[test]
fn a_bad_acquirer_or_address_is_refused_before_anything_is_made() {
    let estate = Estate::empty();
    let folder = estate.path("");
    let with = |option: &str, value: &str| {
        run(keyferry(["init", option, value, "--secrets"]).arg(estate.secrets()).arg(&folder))
    };
    with("--acquirer", "two words").refused_with("--acquirer must be 1 to 32");
    with("--acquirer", &"A".repeat(33)).refused_with("--acquirer must be 1 to 32");
    assert_eq!(with("--terminal-port", "somewhere").code, Some(2));
    with("--server-name", "not a name!").refused_with("--server-name not a name!: ");
    assert!(!folder.exists());
}

#[test]
fn a_short_or_missing_or_readable_secret_is_refused_by_name() {
    for (name, _) in SECRETS {
        let estate = Estate::empty();
        write_secret(&estate.secret(name), "short\n");
        let said = init(&estate.path(""), &estate.secrets()).refused();
        assert!(said.contains("characters"), "{name}: {said}");
        assert!(said.contains("is half made; remove it before you try again"), "{name}: {said}");
        // As it is for a secret that is not there, and one that others can read.
        fs::set_permissions(estate.secret(name), fs::Permissions::from_mode(0o640)).unwrap();
        fs::remove_dir_all(estate.path("")).unwrap();
        let said = init(&estate.path(""), &estate.secrets()).refused();
        assert!(said.contains("can be read by others (mode 640)"), "{name}: {said}");
        assert!(said.contains(name), "{name}: {said}");
    }
}
