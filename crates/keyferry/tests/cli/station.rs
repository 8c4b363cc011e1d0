//! `keyferry station`: collecting under two cards, packing, uploading.

use std::fs;

use custody::{ca::Ca, card, keyfile};
use serde_json::Value;

use crate::support::{
    estate::{COLLECTED, Estate, SECRETS},
    folders::{copy, write_secret},
    records,
    server::Server,
    station::{collect, collect_with, command, journal, make_card, other_station, with_journal},
    terminals::Terminal,
    tool::{openssl, run, text},
};

/// How many terminals the KMS knows.
fn known(estate: &Estate) -> i64 {
    records::number(&estate.path("keyferry.db"), "SELECT count(*) FROM terminals")
}

fn refused(estate: &Estate, terminal: &Terminal, config: &str, reason: &str) {
    let collection = collect_with(&[terminal], &mut command(estate, config));
    let said = collection.ran.refused();
    assert!(said.contains(reason), "{reason:?} is not in: {said}");
    assert!(collection.shown.is_empty());
    assert!(terminal.status().get("collected").is_none(), "nothing left the terminal");
    assert_eq!(known(estate), 0);
}

#[test]
fn collected_and_uploaded_all_three_show_the_same_fingerprint() {
    let estate = Estate::new();
    let server = Server::start(&estate);
    let terminals = ["SN-1", "SN-2", "SN-3"].map(|sn| estate.make_terminal(sn));
    let collection = collect(&estate, &terminals.each_ref(), &[]);
    let said = collection.ran.json();
    let taken = said["uploads"][0]["outcome"]["taken"].as_array().unwrap().clone();
    assert_eq!(taken.len(), 3);
    assert!(taken.iter().all(|one| one["ok"] == true && one["fingerprint_agrees"] == true), "{said}");
    for (terminal, shown) in terminals.iter().zip(&collection.shown) {
        let at_station =
            said["collected"].as_array().unwrap().iter().find(|one| one["sn"] == terminal.sn.as_str());
        assert_eq!(at_station.unwrap()["fingerprint"], shown.as_str());
        assert_eq!(terminal.fingerprint(), *shown);
        let at_kms = run(&mut estate.configured(&["kms", "terminal", &terminal.sn])).good();
        assert!(at_kms.contains(&format!("fingerprint    {shown}")), "{at_kms}");
    }
    assert!(server.stop().success());
}

#[test]
fn one_card_for_both_is_refused() {
    let estate = Estate::new();
    let _server = Server::start(&estate);
    let terminal = estate.make_terminal("SN-1");
    let same = "operator and administrator card have the same";
    other_station(&estate, "one.toml", &[("cards/administrator.pem", "cards/operator.pem")]);
    refused(&estate, &terminal, "one.toml", same);
    other_station(&estate, "two.toml", &[("cards/operator.pem", "cards/administrator.pem")]);
    refused(&estate, &terminal, "two.toml", same);
    // Another card of the same person is no second person.
    make_card(&estate, "same.pem", "First operator", "administrator");
    other_station(&estate, "same.toml", &[("cards/administrator.pem", "cards/same.pem")]);
    let with_organisation = estate.path("cards/same2.pem");
    let mut card = estate.ca(&["card", "--subject", "First operator", "--organisation", "Test \"Bank\""]);
    card.args(["--role", "administrator", "--pin-file"]).arg(estate.secret("administrator-pin"));
    run(card.arg("--out").arg(&with_organisation)).good();
    other_station(&estate, "same2.toml", &[("cards/administrator.pem", "cards/same2.pem")]);
    refused(&estate, &terminal, "same2.toml", same);
}

#[test]
fn a_card_that_is_missing_or_has_the_wrong_role_or_pin_is_refused() {
    let estate = Estate::new();
    let _server = Server::start(&estate);
    let terminal = estate.make_terminal("SN-1");
    other_station(&estate, "gone.toml", &[("cards/administrator.pem", "cards/gone.pem")]);
    refused(&estate, &terminal, "gone.toml", "gone.pem");
    make_card(&estate, "second-operator.pem", "Second operator", "operator");
    let two = [("cards/administrator.pem", "cards/second-operator.pem")];
    other_station(&estate, "two.toml", &two);
    write_secret(
        &estate.secret("administrator-pin"),
        &fs::read_to_string(estate.secret("operator-pin")).unwrap(),
    );
    refused(&estate, &terminal, "two.toml", "is refused as administrator card");
    refused(&estate, &terminal, "station.toml", "the PIN or passphrase is wrong");
}

#[test]
fn a_revoked_operator_card_is_refused_by_station_and_server() {
    let estate = Estate::new();
    let server = Server::start(&estate);
    let terminal = estate.make_terminal("SN-1");
    // Collected in good time, and not uploaded yet.
    let early = estate.make_terminal("SN-2");
    collect(&estate, &[&early], &["--offline"]).ran.good();
    let card = text(&estate.path("cards/operator.pem"));
    let serial = openssl(["x509", "-noout", "-serial", "-in", &card]).good();
    let serial = serial.trim_end().strip_prefix("serial=").unwrap().to_owned();
    let revoke = || run(&mut estate.ca(&["revoke", "--serial", &serial, "--reason", "key-compromise"]));
    assert!(revoke().good().contains("revocation list number"));
    revoke().refused_with("is revoked already");
    // The running server takes up the new list by itself.
    refused(&estate, &terminal, "station.toml", "is refused as operator card");
    let upload = with_journal(&estate, &["upload", "--json"]);
    assert_eq!(upload.code, Some(1));
    let error: Value = serde_json::from_str(&upload.out).unwrap();
    let error = error[0]["outcome"]["error"].as_str().unwrap();
    assert!(error.contains("403") && error.contains("revoked"), "{error}");
    assert_eq!(known(&estate), 0);
    assert!(server.stop().success());
    assert!(records::events(&estate.path("keyferry.db")).contains(&"upload.refused".to_owned()));
}

#[test]
fn an_expired_card_is_refused() {
    let estate = Estate::new();
    let _server = Server::start(&estate);
    let terminal = estate.make_terminal("SN-1");
    // The CA issued it ten days ago, for five days.
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let mut ca = Ca::open(&estate.path("ca"), SECRETS[1].1).unwrap();
    let (signer, pem) = keyfile::generate(keyfile::KeyKind::Rsa(2048), SECRETS[2].1).unwrap();
    let subject = pki::Name::new("Old operator", None).unwrap();
    let request = pki::csr::Csr { subject, spki: pki::Signer::spki_der(&signer).to_vec() };
    let certificate = ca.issue(&request, pki::Role::Operator, 5, now - 10 * 86_400).unwrap();
    card::write_card(&estate.path("cards/old.pem"), &pem, &certificate, &[]).unwrap();
    drop(ca);
    other_station(&estate, "old.toml", &[("cards/operator.pem", "cards/old.pem")]);
    refused(&estate, &terminal, "old.toml", "expired");
}

#[test]
fn what_was_collected_without_a_server_waits_and_is_uploaded_once() {
    let estate = Estate::new();
    // One visit to the server, for the revocation list.
    let server = Server::start(&estate);
    let first = estate.make_terminal("SN-1");
    collect(&estate, &[&first], &[]).ran.good();
    assert!(server.stop().success());

    let terminal = estate.make_terminal("SN-2");
    let collection = collect(&estate, &[&terminal], &["--offline"]);
    assert!(collection.ran.err.contains("using the revocation list fetched last"), "{}", collection.ran.err);
    assert_eq!(collection.ran.json()["uploads"], Value::Array(vec![]));
    let waiting = journal(&estate).waiting().remove(0).name;
    let package = journal(&estate).package(&waiting).unwrap();
    let upload = || with_journal(&estate, &["upload", "--json"]);
    let failed = upload();
    assert_eq!(failed.code, Some(1));
    assert!(failed.out.contains("the package stays in the journal, upload it again later"), "{}", failed.out);
    assert_eq!(journal(&estate).waiting().len(), 1);
    // As a power failure leaves it between the server's answer and the journal's.
    let before = estate.folder().join("before");
    copy(&estate.path("station/journal"), &before);

    let server = Server::start(&estate);
    assert_eq!(upload().json()[0]["outcome"]["taken"][0]["fingerprint_agrees"], true);
    assert!(journal(&estate).waiting().is_empty());
    let key = terminal.key(&server.terminals, 0);
    // Nothing waits any more; and the very package again does no harm.
    assert_eq!(upload().json(), Value::Array(vec![]));
    fs::remove_dir_all(estate.path("station/journal")).unwrap();
    copy(&before, &estate.path("station/journal"));
    assert_eq!(journal(&estate).package(&waiting).unwrap().cms(), package.cms());
    assert_eq!(upload().json()[0]["outcome"]["arrived_before"], true);
    assert_eq!(known(&estate), 2);
    assert_eq!(records::kcv(&estate.path("keyferry.db"), "SN-2", 0, "active"), Some(key.clone()));
    assert_eq!(terminal.kcv(0), Some(key));
}

#[test]
fn openssl_verifies_a_package_and_notices_one_changed_byte() {
    let estate = Estate::collected();
    let sent = estate.folder().join("sent.cms");
    let name = journal(&estate).answered()[0].package.name.to_string();
    with_journal(&estate, &["journal", "--export", &name[..12], "--out", &text(&sent)]).good();
    let root = text(&estate.path("ca/root.pem"));
    let verify = |path: &std::path::Path| {
        openssl(["cms", "-verify", "-inform", "DER", "-purpose", "any", "-CAfile", &root, "-in", &text(path)])
    };
    let content: Value = serde_json::from_str(&verify(&sent).good()).unwrap();
    let serials: Vec<_> =
        content["terminals"].as_array().unwrap().iter().map(|one| one["sn"].as_str().unwrap()).collect();
    assert_eq!(serials.len(), COLLECTED.len());

    let mut bytes = fs::read(&sent).unwrap();
    let mark = b"\"sn\":\"SN-1\"";
    let at = bytes.windows(mark.len()).position(|window| window == mark).unwrap();
    bytes[at + mark.len() - 2] = b'9';
    let changed = estate.folder().join("changed.cms");
    fs::write(&changed, bytes).unwrap();
    assert_ne!(verify(&changed).code, Some(0));
}

#[test]
fn lists_of_terminals_and_serials_are_kept_to() {
    let estate = Estate::new();
    let server = Server::start(&estate);
    let terminals = ["SN-1", "SN-2"].map(|sn| estate.make_terminal(sn));
    let waiting = terminals.each_ref().map(Terminal::wait);
    let list = estate.folder().join("terminals.list");
    let lines = format!("# today\n\n{}\n SN-2@{}\n", waiting[0].address, waiting[1].address);
    fs::write(&list, lines).unwrap();
    let serials = estate.folder().join("serials.list");
    fs::write(&serials, "SN-2\nSN-3 \n").unwrap();
    let mut command = command(&estate, "station.toml");
    command.arg("--terminals-file").arg(&list).arg("--serials").arg(&serials);
    let ran = run(&mut command);
    assert_eq!(ran.code, Some(1), "not all is well: {ran:?}");
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(said["collected"].as_array().unwrap().len(), 1);
    assert_eq!(said["collected"][0]["sn"], "SN-2");
    assert!(said["failed"][0].as_str().unwrap().contains("SN-1"), "{said}");
    assert_eq!(said["missing"][0], "SN-3");
    assert_eq!(known(&estate), 1);
    drop((server, waiting));
    // Nothing to collect at all, and what is no address.
    run(&mut self::command(&estate, "station.toml")).refused_with("name at least one terminal");
    let ran = run(self::command(&estate, "station.toml").args(["--terminal", "here:and:there"]));
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn a_server_under_another_root_gets_nothing() {
    let estate = Estate::new();
    let _server = Server::start(&estate);
    let terminal = estate.make_terminal("SN-1");
    let mut other = crate::support::tool::keyferry([
        "ca",
        "root",
        "--subject",
        "CLI root",
        "--suite",
        "1",
        "--bits",
        "2048",
        "--ca",
    ]);
    other.arg(estate.path("other")).arg("--ca-passphrase-file").arg(estate.secret("ca-passphrase"));
    run(&mut other).good();
    other_station(&estate, "false.toml", &[("tls_root = \"ca/root.pem\"", "tls_root = \"other/root.pem\"")]);
    refused(&estate, &terminal, "false.toml", "did not prove that it is the KMS");
}

#[test]
fn a_work_certificate_of_another_role_goes_to_no_terminal() {
    let estate = Estate::new();
    let _server = Server::start(&estate);
    let terminal = estate.make_terminal("SN-1");
    let tls = ("work_certificate = \"work-certificate.pem\"", "work_certificate = \"tls/server.pem\"");
    other_station(&estate, "role.toml", &[tls]);
    refused(
        &estate,
        &terminal,
        "role.toml",
        "the work certificate is refused, nothing was sent to a terminal",
    );
}
