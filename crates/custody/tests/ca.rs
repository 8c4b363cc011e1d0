//! The CA in a folder: what it makes, and what it notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;

use common::{DAY, NOW, PASSPHRASE, files, mode, name, new_ca, openssl};
use keyferry_custody::Error;
use keyferry_custody::ca::{Ca, NewCa, Use};
use keyferry_custody::keyfile::{self, KeyKind};
use pki::csr::Csr;
use pki::{Certificate, Crl, KeyFamily, RevocationReason, Role, Signer as _};

fn request(common_name: &str) -> Csr {
    Csr { subject: name(common_name), spki: common::new_public_key() }
}

fn crl(dir: &Path) -> Crl {
    Crl::from_pem(&fs::read_to_string(dir.join("crl.pem")).unwrap()).unwrap()
}

fn edit_log(dir: &Path, change: impl FnOnce(&str) -> String) {
    let path = dir.join("log");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, change(&text)).unwrap();
}

#[test]
fn a_new_ca_has_a_root_an_encrypted_key_a_log_and_an_empty_list() {
    let dir = tempfile::tempdir().unwrap();
    let (path, ca) = new_ca(dir.path());
    assert_eq!(files(&path), ["crl.pem", "issued", "lock", "log", "root.key.pem", "root.pem"]);
    assert_eq!(files(dir.path()), ["ca"], "nothing is left beside it");
    assert_eq!(mode(&path.join("root.key.pem")), 0o600);
    for public in ["crl.pem", "log", "root.pem"] {
        assert_eq!(mode(&path.join(public)), 0o644, "{public}");
    }
    assert!(fs::read_to_string(path.join("root.key.pem")).unwrap().starts_with("-----BEGIN ENCRYPTED"));
    assert_eq!((crl(&path).number(), crl(&path).len()), (1, 0));
    crl(&path).verify(ca.root()).unwrap();
    assert_eq!(ca.root().path_len(), Some(1));
    assert_eq!(ca.record().entries(), 2);
}

#[test]
fn the_default_root_key_has_3072_bits() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::create(
        &dir.path().join("ca"),
        &NewCa::new(name("R"), KeyKind::usual(KeyFamily::Rsa)),
        PASSPHRASE,
        NOW,
    )
    .unwrap();
    assert_eq!(pki::PublicKey::from_spki(ca.root().spki_der()).unwrap().bits(), 3072);
}

#[test]
fn r10_a_ca_for_trials_has_a_marked_root_and_any_other_has_none() {
    let dir = tempfile::tempdir().unwrap();
    for for_trials in [true, false] {
        let new = NewCa { for_trials, ..NewCa::new(name("R"), KeyKind::P256) };
        let path = dir.path().join(for_trials.to_string());
        let mut ca = Ca::create(&path, &new, PASSPHRASE, NOW).unwrap();
        assert_eq!(ca.root().is_for_trials(), for_trials);
        // The root says it for all that it issues, and openssl takes it as any other.
        let (key, _) = keyfile::generate(KeyKind::P256, PASSPHRASE).unwrap();
        let spki = key.spki_der().to_vec();
        let card = ca.issue(&Csr { subject: name("Ada"), spki }, Role::Operator, 30, NOW).unwrap();
        assert!(!card.is_for_trials());
        drop(ca);
        let verify = format!("verify -x509_strict -attime {NOW} -CAfile root.pem issued/0001.pem");
        openssl(&path, &verify).unwrap();
    }
}

#[test]
fn a_ca_is_made_only_in_an_empty_folder_and_under_a_long_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    let new = NewCa::new(name("R"), KeyKind::Rsa(2048));
    let path = dir.path().join("ca");
    assert!(matches!(Ca::create(&path, &new, "eleven char", NOW), Err(Error::ShortPin { min: 12 })));
    assert!(!path.exists());
    fs::create_dir(&path).unwrap();
    drop(Ca::create(&path, &new, PASSPHRASE, NOW).unwrap());
    let before = fs::read(path.join("root.pem")).unwrap();
    assert!(matches!(Ca::create(&path, &new, PASSPHRASE, NOW), Err(Error::Exists { .. })));
    assert_eq!(fs::read(path.join("root.pem")).unwrap(), before);
    let bad = NewCa { key: KeyKind::Rsa(1024), ..new };
    assert!(matches!(Ca::create(&dir.path().join("b"), &bad, PASSPHRASE, NOW), Err(Error::KeySize { .. })));
    assert_eq!(files(dir.path()), ["ca"], "a failed start leaves nothing");
}

#[test]
fn a_ca_opens_with_its_passphrase_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (path, ca) = new_ca(dir.path());
    let root = ca.root().clone();
    drop(ca);
    assert!(matches!(Ca::open(&path, "another long passphrase"), Err(Error::WrongPin)));
    assert_eq!(Ca::open(&path, PASSPHRASE).unwrap().root(), &root);
    assert!(matches!(Ca::open(dir.path(), PASSPHRASE), Err(Error::NoCa { .. })));
    assert!(matches!(Ca::read(dir.path()), Err(Error::NoCa { .. })));
}

#[test]
fn one_process_at_a_time_has_the_ca_open() {
    let dir = tempfile::tempdir().unwrap();
    let (path, ca) = new_ca(dir.path());
    assert!(matches!(Ca::open(&path, PASSPHRASE), Err(Error::Busy { .. })));
    Ca::read(&path).unwrap();
    drop(ca);
    Ca::open(&path, PASSPHRASE).unwrap();
}

#[test]
fn every_role_is_issued_filed_listed_and_verified_by_openssl() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut ca) = new_ca(dir.path());
    for (index, role) in Role::SUITE_01.into_iter().enumerate() {
        let certificate = ca.issue(&request(role.word()), role, 30, NOW).unwrap();
        assert_eq!(certificate.role(), Some(role));
        let file = format!("issued/{:04}.pem", index + 1);
        assert_eq!(mode(&path.join(&file)), 0o644);
        openssl(&path, &format!("verify -x509_strict -attime {NOW} -CAfile root.pem {file}")).unwrap();
    }
    let record = Ca::read(&path).unwrap();
    let uses: Vec<Use> = record.issued().iter().map(|issued| issued.purpose).collect();
    assert_eq!(uses, Role::SUITE_01.map(Use::Role));
    assert_eq!(record.head(), ca.record().head());
}

#[test]
fn intermediates_tls_servers_and_tls_clients_are_issued() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut ca) = new_ca(dir.path());
    let below = ca.intermediate(&request("Below"), 0, 30, NOW).unwrap();
    assert_eq!((below.is_ca(), below.path_len()), (true, Some(0)));
    let tls = request("TLS");
    let names = ["localhost".parse().unwrap(), "127.0.0.1".parse().unwrap()];
    ca.tls_server(&tls.subject, &tls.spki, &names, 30, NOW).unwrap();
    let verify = format!("verify -x509_strict -attime {NOW} -CAfile root.pem");
    openssl(&path, &format!("{verify} issued/0001.pem")).unwrap();
    openssl(&path, &format!("{verify} -purpose sslserver -verify_hostname localhost issued/0002.pem"))
        .unwrap();
    let posp = request("posp-1");
    let client = ca.tls_client(&posp.subject, &posp.spki, 30, NOW).unwrap();
    assert_eq!(client.subject(), &posp.subject);
    openssl(&path, &format!("{verify} -purpose sslclient issued/0003.pem")).unwrap();
    // What the log says is read again, and the key has its one use.
    assert_eq!(Ca::read(&path).unwrap().issued()[2].purpose, Use::TlsClient);
    let server = ca.tls_server(&posp.subject, &posp.spki, &names, 30, NOW).unwrap_err();
    assert!(matches!(server, Error::KeyInUse { .. }), "{server}");
}

#[test]
fn a_key_gets_certificates_for_one_use_only() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut ca) = new_ca(dir.path());
    let card = request("Card");
    ca.issue(&card, Role::Operator, 30, NOW).unwrap();
    ca.issue(&card, Role::Operator, 60, NOW).unwrap();
    assert!(matches!(ca.issue(&card, Role::Administrator, 30, NOW), Err(Error::KeyInUse { .. })));
    assert!(matches!(ca.intermediate(&card, 0, 30, NOW), Err(Error::KeyInUse { .. })));
    let root = Csr { subject: name("X"), spki: ca.root().spki_der().to_vec() };
    assert!(matches!(ca.issue(&root, Role::Operator, 30, NOW), Err(Error::KeyInUse { .. })));
    assert_eq!(ca.record().issued().len(), 2);
}

#[test]
fn nothing_outlives_the_root() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut ca) = new_ca(dir.path());
    let error = ca.issue(&request("Card"), Role::Operator, 40_000, NOW).unwrap_err();
    assert!(error.to_string().contains("fewer days"), "{error}");
    assert_eq!(ca.record().issued().len(), 0);
}

#[test]
fn a_revocation_is_on_the_next_list_and_openssl_sees_it() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut ca) = new_ca(dir.path());
    let card = ca.issue(&request("Card"), Role::Operator, 30, NOW).unwrap();
    let verify = format!("verify -crl_check -CRLfile crl.pem -CAfile root.pem -attime {NOW} issued/0001.pem");
    openssl(&path, &verify).unwrap();
    // As `openssl x509 -text` writes a serial number.
    let colons: Vec<String> = card.serial().iter().map(|byte| format!("{byte:02x}")).collect();
    ca.revoke(&colons.join(":"), RevocationReason::KeyCompromise, NOW + 5).unwrap();
    assert!(openssl(&path, &verify).unwrap_err().contains("certificate revoked"));
    assert_eq!((crl(&path).number(), crl(&path).len()), (2, 1));
    assert_eq!(crl(&path).revocation(card.serial()).unwrap().when, NOW + 5);
    let again = ca.revoke(&card.serial_hex(), RevocationReason::Superseded, NOW + 6);
    assert!(matches!(again, Err(Error::AlreadyRevoked { .. })));
    assert!(matches!(ca.revoke("00", RevocationReason::Superseded, NOW), Err(Error::UnknownSerial { .. })));
    // It stays revoked on later lists, and after the CA was closed.
    drop(ca);
    let mut ca = Ca::open(&path, PASSPHRASE).unwrap();
    assert_eq!(ca.crl(7, NOW + DAY).unwrap().len(), 1);
    let list = crl(&path);
    assert_eq!((list.number(), list.next_update()), (3, NOW + 8 * DAY));
    let revoked = ca.record().issued()[0].revoked.unwrap();
    assert_eq!((revoked.when, revoked.reason), (NOW + 5, RevocationReason::KeyCompromise));
}

#[test]
fn a_changed_log_is_noticed_at_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut ca) = new_ca(dir.path());
    ca.issue(&request("First"), Role::Operator, 30, NOW).unwrap();
    ca.issue(&request("Second"), Role::Operator, 30, NOW).unwrap();
    drop(ca);
    let good = fs::read_to_string(path.join("log")).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let join = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let changed = [
        ("another word", good.replacen("First", "Frist", 1), 3),
        ("another space", good.replacen(':', ": ", 1), 1),
        ("a line gone", join(&[lines[0], lines[1], lines[3]]), 3),
        ("two lines swapped", join(&[lines[0], lines[1], lines[3], lines[2]]), 3),
        ("a line twice", join(&[lines[0], lines[1], lines[1], lines[2], lines[3]]), 3),
        ("the first gone", join(&lines[1..]), 1),
        ("no JSON", format!("{good}x\n"), 5),
    ];
    for (what, text, at) in changed {
        edit_log(&path, |_| text);
        for error in [Ca::read(&path).unwrap_err(), Ca::open(&path, PASSPHRASE).unwrap_err()] {
            assert!(matches!(error, Error::Log { line, .. } if line == at), "{what}: {error}");
        }
    }
    edit_log(&path, |_| good.clone());
    assert_eq!(Ca::read(&path).unwrap().entries(), 4);
}

#[test]
fn a_log_cut_at_its_end_is_noticed_by_the_files_it_forgot() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut ca) = new_ca(dir.path());
    ca.issue(&request("Card"), Role::Operator, 30, NOW).unwrap();
    drop(ca);
    let good = fs::read_to_string(path.join("log")).unwrap();
    let keep = |count: usize| good.split_inclusive('\n').take(count).collect::<String>();
    for (count, word) in [(2, "issued/0001.pem"), (1, "issued/0001.pem")] {
        edit_log(&path, |_| keep(count));
        let error = Ca::read(&path).unwrap_err();
        assert!(matches!(&error, Error::Inconsistent { why, .. } if why.contains(word)), "{error}");
    }
    fs::remove_file(path.join("issued/0001.pem")).unwrap();
    let error = Ca::read(&path).unwrap_err();
    assert!(matches!(&error, Error::Inconsistent { why, .. } if why.contains("list 1")), "{error}");
}

#[test]
fn a_line_torn_by_a_crash_never_happened_and_the_next_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let (path, ca) = new_ca(dir.path());
    drop(ca);
    edit_log(&path, |text| format!("{text}{{\"entry\":{{\"num"));
    let mut ca = Ca::open(&path, PASSPHRASE).unwrap();
    assert_eq!(ca.record().entries(), 2);
    ca.issue(&request("Card"), Role::Operator, 30, NOW).unwrap();
    drop(ca);
    assert_eq!(Ca::read(&path).unwrap().entries(), 3);
}

#[test]
fn a_certificate_whose_file_a_crash_kept_back_is_restored_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut ca) = new_ca(dir.path());
    let card = ca.issue(&request("Card"), Role::Operator, 30, NOW).unwrap();
    drop(ca);
    fs::remove_file(path.join("issued/0001.pem")).unwrap();
    drop(Ca::open(&path, PASSPHRASE).unwrap());
    let restored = fs::read_to_string(path.join("issued/0001.pem")).unwrap();
    assert_eq!(Certificate::from_pem(&restored).unwrap(), card);
}

#[test]
fn exchanged_files_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut ca) = new_ca(dir.path());
    ca.issue(&request("One"), Role::Operator, 30, NOW).unwrap();
    ca.issue(&request("Two"), Role::Operator, 30, NOW).unwrap();
    drop(ca);
    let other_dir = tempfile::tempdir().unwrap();
    let (other, _) = new_ca(other_dir.path());
    let put = |from: &Path, to: &str| {
        let before = fs::read(path.join(to)).unwrap();
        fs::copy(from, path.join(to)).unwrap();
        let error = Ca::open(&path, PASSPHRASE).unwrap_err();
        fs::write(path.join(to), before).unwrap();
        error
    };
    assert!(matches!(put(&path.join("issued/0002.pem"), "issued/0001.pem"), Error::Inconsistent { .. }));
    assert!(matches!(put(&other.join("root.pem"), "root.pem"), Error::Inconsistent { .. }));
    assert!(matches!(put(&other.join("root.key.pem"), "root.key.pem"), Error::KeyMismatch { .. }));
    assert!(matches!(put(&other.join("crl.pem"), "crl.pem"), Error::Pki(pki::Error::BadSignature { .. })));
    Ca::open(&path, PASSPHRASE).unwrap();
}

#[test]
fn what_cannot_be_logged_does_not_happen() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut ca) = new_ca(dir.path());
    // A log that cannot be opened for appending: a folder in its place.
    fs::rename(path.join("log"), path.join("log.away")).unwrap();
    fs::create_dir(path.join("log")).unwrap();
    assert!(matches!(ca.issue(&request("Card"), Role::Operator, 30, NOW), Err(Error::Io { .. })));
    assert_eq!(files(&path.join("issued")), Vec::<String>::new());
    fs::remove_dir(path.join("log")).unwrap();
    fs::rename(path.join("log.away"), path.join("log")).unwrap();
    ca.issue(&request("Card"), Role::Operator, 30, NOW).unwrap();
    drop(ca);
    assert_eq!(Ca::read(&path).unwrap().issued().len(), 1);
}
