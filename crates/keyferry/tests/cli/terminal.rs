//! `keyferry terminal`.

use std::fs;

use crate::support::{
    estate::Estate,
    folders::{mode, snapshot},
    records,
    server::Server,
    station,
    tool::{keyferry, run, text},
};

#[test]
fn a_line_cut_after_any_message_is_made_good_by_the_next_download() {
    let estate = Estate::collected();
    let server = Server::start(&estate);
    let database = estate.path("keyferry.db");
    let terminal = estate.terminal("SN-1");
    for (slot, step) in ["hello", "challenge", "reply", "key", "confirm", "done"].into_iter().enumerate() {
        let slot = u8::try_from(slot).unwrap();
        let cut = terminal.download(&server.terminals, slot, &["--cut-after", step]);
        let at_kms = || records::slot(&database, "SN-1", slot);
        let before = if step == "done" {
            // Nothing was left to be said.
            terminal.kcv(slot).into_iter().collect::<Vec<_>>()
        } else {
            cut.refused();
            if ["reply", "key", "confirm"].contains(&step) {
                crate::support::tool::until("the KMS made a key", || !at_kms().is_empty());
            }
            at_kms().iter().map(|held| held.kcv.clone()).collect()
        };
        let key = terminal.key(&server.terminals, slot);
        assert!(
            before.iter().all(|kcv| *kcv == key) || step == "done" || step == "confirm",
            "{step}: {before:?} {key}"
        );
        assert_eq!(terminal.kcv(slot), Some(key.clone()), "{step}");
        assert_eq!(records::kcv(&database, "SN-1", slot, "active"), Some(key), "{step}");
        assert_eq!(records::kcv(&database, "SN-1", slot, "pending"), None, "{step}");
    }
    assert_eq!(terminal.download(&server.terminals, 0, &["--cut-after", "lunch"]).code, Some(2));
}

#[test]
fn two_processes_on_one_terminal_are_one_too_many() {
    let estate = Estate::new();
    let terminal = estate.make_terminal("SN-1");
    let waiting = terminal.wait();
    let status = || run(keyferry(["terminal", "status"]).arg(&terminal.folder));
    status().refused_with("is in use by another process: wait until it ends");
    terminal.download("127.0.0.1:1", 0, &[]).refused_with("is in use by another process");
    drop(waiting);
    status().good();
}

#[test]
fn a_terminal_without_its_battery_has_lost_its_keys() {
    let estate = Estate::collected();
    let terminal = estate.terminal("SN-1");
    fs::remove_file(terminal.folder.join("battery.key")).unwrap();
    let before = snapshot(&terminal.folder);
    run(keyferry(["terminal", "status"]).arg(&terminal.folder))
        .refused_with("is gone: the battery was removed and every key with it; make the terminal anew");
    terminal.download("127.0.0.1:1", 0, &[]).refused_with("the battery was removed");
    assert_eq!(snapshot(&terminal.folder), before);
}

#[test]
fn status_is_text_for_people_and_json_for_programs() {
    let estate = Estate::collected();
    let server = Server::start(&estate);
    let terminal = estate.terminal("SN-2");
    let status = terminal.status();
    assert_eq!(
        (&status["sn"], &status["vendor"], &status["model"]),
        (&"SN-2".into(), &"KF".into(), &"SIM-1".into())
    );
    assert!(status["slots"].as_array().unwrap().is_empty());
    assert_eq!(status["collected"]["fingerprint"].as_str().unwrap().len(), 20);
    let key = terminal.key(&server.terminals, 7);
    let slots = terminal.status()["slots"].clone();
    assert_eq!(
        (&slots[0]["slot"], &slots[0]["kcv"], &slots[0]["done"]),
        (&7.into(), &key.as_str().into(), &true.into())
    );
    let said = run(keyferry(["terminal", "status"]).arg(&terminal.folder)).good();
    for wanted in ["SN-2", "KF SIM-1", "built in", &key, "confirmed", &terminal.fingerprint()] {
        assert!(said.contains(wanted), "{wanted} is not in {said}");
    }
}

#[test]
fn a_terminal_is_made_once_and_for_its_owner_alone() {
    let estate = Estate::new();
    let terminal = estate.make_terminal("SN-1");
    assert_eq!(mode(&terminal.folder), 0o700);
    for (path, (mode, _)) in snapshot(&terminal.folder) {
        assert_eq!(mode, 0o600, "{}", path.display());
    }
    let before = snapshot(&terminal.folder);
    let root = text(&estate.path("ca/root.pem"));
    let new = |further: &[&str]| {
        run(keyferry(["terminal", "new", "--root", &root]).args(further).arg(&terminal.folder))
    };
    new(&["--sn", "SN-1"]).refused_with("holds a terminal already");
    assert_eq!(snapshot(&terminal.folder), before);
    terminal.remove();
    for (arguments, code) in [
        (["--sn", "no spaces"].as_slice(), 2),
        (&["--sn", &"9".repeat(33)], 2),
        (&["--sn", "SN-1", "--pin-pad", "SN-1"], 1),
        (&["--sn", "SN-1", "--vendor", "KF"], 1),
    ] {
        assert_eq!(new(arguments).code, Some(code), "{arguments:?}");
        assert!(!terminal.folder.join("battery.key").exists(), "{arguments:?}");
    }
    let mut leaf = keyferry(["terminal", "new", "--sn", "SN-1", "--root"]);
    run(leaf.arg(estate.path("work-certificate.pem")).arg(&terminal.folder))
        .refused_with("is no CA certificate");
}

#[test]
fn a_terminal_that_was_not_collected_or_has_no_server_says_so() {
    let estate = Estate::new();
    let terminal = estate.make_terminal("SN-1");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    terminal
        .download(&free, 0, &[])
        .refused_with(&format!("cannot connect to {free}; is the server running there?"));
    let server = Server::start(&estate);
    terminal.download(&server.terminals, 0, &[]).refused();
    let slot = terminal.download(&server.terminals, 100, &[]);
    assert_eq!(slot.code, Some(2), "{slot:?}");
    run(keyferry(["terminal", "status"]).arg(estate.folder())).refused_with("holds no terminal");
}

#[test]
fn a_slot_outside_the_acquirers_range_is_not_given() {
    let estate = Estate::collected();
    let server = Server::start(&estate);
    let terminal = estate.terminal("SN-1");
    terminal.download(&server.terminals, 10, &[]).refused_with("000C");
    terminal.key(&server.terminals, 9);
}

#[test]
fn a_download_over_tls_trusts_one_root_only() {
    let estate = Estate::collected();
    crate::support::folders::edit(&estate.path("keyferry.toml"), &[("tls = false", "tls = true")]);
    let server = Server::start(&estate);
    let terminal = estate.terminal("SN-3");
    let root = text(&estate.path("ca/root.pem"));
    let key = terminal.download(&server.terminals, 0, &["--tls-root", &root]).json()["kcv"].clone();
    assert_eq!(terminal.kcv(0).unwrap(), key.as_str().unwrap());
    let mut other =
        keyferry(["ca", "root", "--subject", "CLI root", "--suite", "1", "--bits", "2048", "--ca"]);
    other.arg(estate.folder().join("other")).arg("--ca-passphrase-file").arg(estate.secret("ca-passphrase"));
    run(&mut other).good();
    let other = text(&estate.folder().join("other/root.pem"));
    terminal.download(&server.terminals, 1, &["--tls-root", &other]).refused();
    terminal.download(&server.terminals, 1, &[]).refused();
    assert_eq!(terminal.kcv(1), None);
}

#[test]
fn a_repeated_collection_under_the_same_certificate_gives_the_same_ciphertext() {
    let estate = Estate::collected();
    let terminal = estate.terminal("SN-1");
    let server = Server::start(&estate);
    let before = terminal.fingerprint();
    // The same work certificate again: the same ciphertext again.
    let again = station::collect(&estate, &[&terminal], &["--offline"]);
    assert_eq!(again.ran.json()["collected"][0]["fingerprint"], before.as_str());
    drop(server);
    assert_eq!(terminal.fingerprint(), before);
}
