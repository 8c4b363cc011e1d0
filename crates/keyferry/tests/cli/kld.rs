//! `keyferry kld` and `keyferry rks`: keys by cable under two cards, and what is refused.

use std::{fs, net::TcpListener};

use crate::support::{
    ceremony::{Agreed, component},
    estate::Estate,
    folders::{edit, mode},
    kld::{Kld, LOADED, certify, make_terminal},
    records,
    server::Server,
    tool::{keyferry, run, text},
};

#[test]
fn a_run_loads_its_list_once_and_reports_it() {
    let estate = Estate::loaded();
    let kld = Kld::of(&estate);
    let status = run(&mut kld.command(&["status"])).good();
    assert!(status.contains("KLD-1") && status.contains("exchange"), "{status}");
    let server = Server::start(&estate);
    kld.find(&server);
    let (listed, other) = (make_terminal(&estate, "NEW-1", &[]), make_terminal(&estate, "NEW-2", &[]));
    kld.load(&estate, &[&listed]).refused();
    kld.open_run(&estate, &["NEW-1", "no!serial"], &["tmk:0"]).refused_with("line 2");
    for what in ["tmk", "tmk:100", "poem"] {
        assert_eq!(kld.open_run(&estate, &["NEW-1"], &[what]).code, Some(2), "{what}");
    }
    kld.open_run(&estate, &["NEW-1"], &["tmk:0", "dik2:UNKNOWN"]).refused_with("UNKNOWN");
    kld.open_run(&estate, &["NEW-1"], &["tmk:0", "dmk"]).good();
    kld.open_run(&estate, &["NEW-2"], &["tmk:0"]).refused();
    // Not in the list; at another address than was said; nobody there.
    kld.load(&estate, &[&other]).refused();
    assert_eq!(other.kcv(0), None);
    let listening = other.listen();
    let load = |address: &str| {
        let mut load = kld.with_cards(&estate, &["run", "load", "--terminal", address]);
        run(load.arg("--hsm-passphrase-file").arg(estate.secret("hsm-passphrase")))
    };
    load(&format!("NEW-1@{}", listening.address)).refused();
    drop(listening);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    load(&format!("NEW-1@{free}")).refused();
    let ran = kld.load(&estate, &[&listed]);
    let key = listed.kcv(0).unwrap();
    assert!(ran.good().contains(&key));
    let status = run(&mut kld.command(&["run", "status", "--json"])).json();
    assert_eq!(
        (&status["loaded"], &status["listed"], &status["closed"]),
        (&1.into(), &1.into(), &false.into())
    );
    kld.close_run(&estate).good();
    kld.close_run(&estate).refused();
    assert_eq!(records::kcv(&estate.path("keyferry.db"), "NEW-1", 0, "active"), Some(key));

    // A serial that is served twice is two terminals: nothing of that run is believed.
    let twice = make_terminal(&estate, "TWICE", &[]);
    kld.open_run(&estate, &["TWICE"], &["tmk:0"]).good();
    kld.load(&estate, &[&twice]).good();
    kld.load(&estate, &[&twice]).refused();
    let ran = kld.close_run(&estate);
    assert!(ran.code == Some(1) && ran.out.contains("TWICE  REFUSED  compromised"), "{ran:?}");
    assert_eq!(records::slot(&estate.path("keyferry.db"), "TWICE", 0), vec![]);
    assert!(server.stop().success());
    estate.verify_audit().good();
}

#[test]
fn a_report_waits_for_its_server_and_both_cards_are_needed() {
    let estate = Estate::loaded();
    let kld = Kld::of(&estate);
    let server = Server::start(&estate);
    kld.find(&server);
    let terminal = make_terminal(&estate, "NEW-1", &[]);
    kld.open_run(&estate, &["NEW-1"], &["tmk:2"]).good();
    kld.load(&estate, &[&terminal]).good();
    run(&mut kld.with_cards(&estate, &["run", "close", "--offline"])).good();
    let database = estate.path("keyferry.db");
    assert_eq!(records::kcv(&database, "NEW-1", 2, "active"), None);
    run(&mut kld.command(&["report", "upload"])).good();
    assert_eq!(records::kcv(&database, "NEW-1", 2, "active"), terminal.kcv(2));
    // A wrong PIN opens no card, and one card twice is one person.
    let pin = estate.secret("operator-pin");
    edit(&pin, &[("operator-k3nb", "operator-k3nc")]);
    kld.open_run(&estate, &["NEW-2"], &["tmk:0"]).refused_with("the PIN or passphrase is wrong");
    edit(&pin, &[("operator-k3nc", "operator-k3nb")]);
    fs::copy(estate.path("cards/operator.pem"), estate.path("cards/administrator.pem")).unwrap();
    fs::copy(&pin, estate.secret("administrator-pin")).unwrap();
    kld.open_run(&estate, &["NEW-2"], &["tmk:0"]).refused_with("each with a card of their own");
}

/// `[trust]` is one part of a KLD's configuration and of a station's.
#[test]
fn vendors_roots_are_believed_where_the_configuration_names_them_and_never_for_trials_in_production() {
    let estate = Estate::loaded();
    let kld = Kld::of(&estate);
    let server = Server::start(&estate);
    kld.find(&server);
    for (name, further) in [("vendor", [].as_slice()), ("trial", &["--trial"])] {
        let mut root = keyferry(["ca", "root", "--subject", "Vendor root", "--suite", "1", "--bits", "2048"]);
        root.args(further).arg("--ca").arg(estate.path(name));
        run(root.arg("--ca-passphrase-file").arg(estate.secret("ca-passphrase"))).good();
    }
    let with_root = |name: &str| {
        let roots = format!("device_roots = [\"{}\"]", text(&estate.path(name).join("root.pem")));
        let (at_kld, at_station) = (kld.folder.join("kld.toml"), estate.path("station.toml"));
        for config in [&at_kld, &at_station] {
            edit(config, &[("device_roots = []", &roots)]);
        }
        let mut pack = keyferry(["station", "pack", "--config"]);
        pack.arg(&at_station);
        for secret in ["operator-pin", "administrator-pin", "station-passphrase"] {
            pack.arg(format!("--{secret}-file")).arg(estate.secret(secret));
        }
        let ran = [kld.open_run(&estate, &["NEW-1"], &["tmk:0"]), run(&mut pack)];
        for config in [&at_kld, &at_station] {
            edit(config, &[(&roots, "device_roots = []")]);
        }
        ran
    };
    for ran in with_root("none") {
        ran.refused_with("none/root.pem");
    }
    for ran in with_root("trial") {
        ran.refused_with("trial");
    }
    for ran in with_root("vendor") {
        ran.good();
    }
}

#[test]
fn options_that_would_be_ignored_are_refused() {
    let estate = Estate::loaded();
    let kld = Kld::of(&estate);
    for further in [["--sn", "SHOP-1"], ["--speed", "1200"]] {
        let mut load = kld.with_cards(&estate, &["run", "load", "--terminal", "127.0.0.1:1"]);
        let ran = run(load.args(further));
        assert_eq!(ran.code, Some(2), "{further:?}: {ran:?}");
    }
}

#[test]
fn a_dik1_is_made_once_exported_under_an_agreed_key_and_imported_by_its_label() {
    let estate = Estate::loaded();
    let kld = Kld::of(&estate);
    let hsm = estate.secret("hsm-passphrase");
    let rks = |arguments: &[&str]| {
        let mut command = estate.configured(&[&["rks"], arguments].concat());
        command.arg("--passphrase-file").arg(&hsm);
        command
    };
    let out = estate.beside("dik1.block");
    let export = |label: &str, under: &str| {
        run(rks(&["dik1", "export", label, "--under", under]).arg("--out").arg(&out))
    };
    export("D-1", "KLD-1").refused_with("there is no DIK1 D-1");
    let made = run(&mut rks(&["dik1", "make", "D-1", "--suite", "1"])).good();
    let kcv = made.trim().rsplit(' ').next().unwrap().to_owned();
    run(&mut rks(&["dik1", "make", "D-1", "--suite", "1"])).refused_with("it is never replaced");
    assert_eq!(run(&mut rks(&["dik1", "make", "D-2", "--suite", "1", "--model", "SIM-1"])).code, Some(2));
    export("D-1", "KLD-2").refused_with("names no key KLD-2");
    export("D-1", "KLD-1").good();
    assert_eq!(mode(&out), 0o600);
    let listed = run(&mut estate.configured(&["rks", "dik1", "list"])).good();
    assert!(listed.contains("D-1") && listed.contains(&kcv), "{listed}");
    let import = |label: &str| {
        let mut import = kld.with_cards(&estate, &["import", "dik1", "--label", label]);
        run(import.arg("--hsm-passphrase-file").arg(&hsm).arg("--block").arg(&out))
    };
    let server = Server::start(&estate);
    kld.find(&server);
    import("D-1").good();
    let status = run(&mut kld.command(&["status"])).good();
    assert!(status.contains("D-1") && status.contains(&kcv), "{status}");
    let block = fs::read_to_string(&out).unwrap();
    fs::write(&out, block.replacen('B', "A", 1)).unwrap();
    import("D-1").refused();
}

#[test]
fn a_terminals_key_from_components_goes_to_its_own_place_only() {
    let estate = Estate::loaded();
    let kld = Kld::of(&estate);
    let server = Server::start(&estate);
    kld.find(&server);
    let hsm = text(&estate.secret("hsm-passphrase"));
    // A TMK needs a PIN pad and a slot, a DMK a PIN pad, other keys neither.
    for (kind, place) in
        [("tmk", &["--pin-pad", "NEW-1"][..]), ("dmk", &["--slot", "1"]), ("zone-master", &["--slot", "1"])]
    {
        let mut enter = keyferry(["hsm", "component", "enter", "--acquirer", "CLI", "--session", "S-1"]);
        enter.args([
            "--name",
            "K",
            "--for",
            kind,
            "--part",
            "1",
            "--person",
            "Ann",
            "--check-value",
            "000000",
        ]);
        enter.args(place).arg("--folder").arg(kld.folder.join("hsm")).args(["--passphrase-file", &hsm]);
        run(enter.args(["--component-file", &hsm]).arg("--out").arg(estate.beside("x")))
            .refused_with("a PK or MAK for batches --partner, other keys none of these");
    }
    // An exchange key is no terminal's key, and a zone master key is nothing to a KLD.
    let zone = Agreed::new("ZMK-1", "zone-master");
    let combined = zone.type_in(&estate, &kld.folder.join("hsm"), "kld");
    let mut import = kld.with_cards(&estate, &["import", "exchange-key"]);
    run(import.arg("--combined").arg(&combined)).refused();
    let mut import = kld.with_cards(&estate, &["import", "tmk", "--pin-pad", "NEW-1", "--slot", "1"]);
    run(import.args(["--hsm-passphrase-file", &hsm]).arg("--combined").arg(&combined)).refused();
    // One that comes under the exchange key has a header of its own kind.
    fs::write(estate.beside("wrong.block"), calc::to_hex(&component("tmk")).as_bytes()).unwrap();
    let mut import = kld.with_cards(&estate, &["import", "dmk", "--pin-pad", "NEW-1"]);
    run(import.args(["--hsm-passphrase-file", &hsm]).arg("--block").arg(estate.beside("wrong.block")))
        .refused();
    let usage = kld.with_cards(&estate, &["import", "dmk", "--pin-pad", "NEW-1"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2), "a block or components");
}

#[test]
fn a_kld_without_the_right_certificate_or_list_loads_nothing() {
    let estate = Estate::loaded();
    let folder = estate.beside("kld-2");
    let hsm = estate.secret("hsm-passphrase");
    let mut init = keyferry(["kld", "init", "--name", "KLD-2", "--acquirer", "CLI", "--root"]);
    init.arg(estate.path("ca/root.pem")).arg("--operator-card").arg(estate.path("cards/operator.pem"));
    init.arg("--administrator-card").arg(estate.path("cards/administrator.pem"));
    init.arg("--hsm-passphrase-file").arg(&hsm).arg(&folder);
    run(&mut init).good();
    run(&mut init).refused_with("is not empty; nothing was changed");
    let kld = Kld { folder };
    // Nobody to ask for a revocation list: it is carried here.
    kld.open_run(&estate, &LOADED, &["tmk:0"]).refused_with("revocation list");
    run(kld.command(&["crl"]).arg(estate.path("keyferry.toml"))).refused();
    run(kld.command(&["crl"]).arg(estate.path("ca/crl.pem"))).good();
    let (request, certificate) = (estate.beside("kld-2.csr"), estate.beside("kld-2.pem"));
    let mut ask = kld.command(&["request", "--suite", "1"]);
    run(ask.arg("--hsm-passphrase-file").arg(&hsm).arg("--out").arg(&request)).good();
    let install = |path: &std::path::Path| run(kld.command(&["install"]).arg("--certificate").arg(path));
    // Another KLD's, and one of another role.
    install(&estate.beside("kld.pem")).refused();
    certify(&estate, "kms-work", &request, &certificate);
    install(&certificate).refused();
    let status = run(&mut kld.command(&["status"])).good();
    assert_eq!(
        status.lines().filter(|line| line.starts_with("suite ") && line.ends_with("none")).count(),
        2,
        "{status}"
    );
}
