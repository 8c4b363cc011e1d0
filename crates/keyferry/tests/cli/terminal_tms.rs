//! `keyferry terminal tms`: what a terminal does with what its TMS has for it.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;

use crate::support::{
    ceremony::random,
    estate::Estate,
    kld::{Kld, make_terminal},
    records,
    server::Server,
    tms::Package,
    tool::{Ran, keyferry, run},
};

/// What it said as JSON, having ended with exit code 1.
fn failed(ran: Ran) -> (Value, String) {
    let said = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:#?}"));
    (said, ran.refused())
}

fn script(path: &Path, text: &str) -> String {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn nothing_to_do_is_said_and_what_there_is_is_loaded_once() {
    let estate = Estate::loaded();
    estate.folder_vendor();
    let server = Server::start(&estate);
    let terminal = estate.terminal("SHOP-1");
    let people = || {
        let mut command = keyferry(["terminal", "tms", "--server", &server.terminals]);
        run(command.arg(&terminal.folder)).good()
    };
    let said = people();
    assert!(said.contains("nothing new to load") && said.contains("0 bytes in 1 sessions"), "{said}");
    let lib = estate.signed("lib", "1.4.2", 5000, &[]);
    estate.publish(&lib, &[]).good();
    let app = estate.signed("app", "1.0.0", 7000, &["--requires", "lib@^1.4"]);
    estate.publish(&app, &[]).good();
    estate.deploy("app@1.0.0", &[]).good();
    let said = people();
    for wanted in ["lib 1.4.2 (application): 5000 bytes are here", "installed app 1.0.0", "12000 bytes in"] {
        assert!(said.contains(wanted), "{wanted} is not in {said}");
    }
    assert!(people().contains("nothing new to load"));
    assert_eq!(terminal.installed().len(), 2);
    let said = terminal.update(&server.terminals, &[]).json();
    assert_eq!((&said["installed"], &said["bytes"]), (&Value::Array(vec![]), &0.into()), "{said}");
}

#[test]
fn a_terminal_that_cannot_ask_says_why() {
    let estate = Estate::loaded();
    estate.folder_vendor();
    let terminal = estate.terminal("SHOP-1");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    terminal
        .update(&free, &[])
        .refused_with(&format!("cannot connect to {free}; is the server running there?"));
    let server = Server::start(&estate);
    // One that nobody loaded has no DMK; a model that the vendor has not is not served.
    make_terminal(&estate, "SHOP-9", &[]).update(&server.terminals, &[]).refused_with("DMK");
    let bare = estate.beside("terminals/bare");
    let mut new = keyferry(["terminal", "new", "--sn", "BARE", "--root"]);
    run(new.arg(estate.path("ca/root.pem")).arg(&bare)).good();
    run(keyferry(["terminal", "tms", "--server", &server.terminals]).arg(&bare))
        .refused_with("has no vendor and model");
    for (arguments, said) in [
        (["--slot", "100"].as_slice(), "--slot"),
        (&["--slot", "1", "--start-command", "/bin/true"], "cannot be used with"),
        (&["--slot", "1", "--cut-after", "3"], "cannot be used with"),
        (&["--password-file", "x"], "--operator"),
        (&["--operator", "no such id"], "--operator"),
    ] {
        let ran = terminal.update(&server.terminals, arguments);
        assert!(ran.code == Some(2) && ran.err.contains(said), "{arguments:?}: {ran:?}");
    }
    terminal
        .update("serial:/dev/no-such-line", &[])
        .refused_with("cannot open serial:/dev/no-such-line?baud=9600");
    terminal.update("serial:/dev/ttyS0?baud=7", &[]).refused_with("write it as serial:/dev/ttyS0?baud=9600");
    let root = estate.path("ca/root.pem");
    terminal
        .update("serial:/dev/ttyS0", &["--tls-root", root.to_str().unwrap()])
        .refused_with("TLS goes over HOST:PORT only");
}

#[test]
fn a_tmk_comes_the_same_way_and_becomes_active() {
    let estate = Estate::loaded();
    estate.folder_vendor();
    let server = Server::start(&estate);
    let terminal = estate.terminal("SHOP-1");
    let database = estate.path("keyferry.db");
    // Slot 0 is the KLD's, and stays its.
    terminal
        .update(&server.terminals, &["--slot", "0"])
        .refused_with("slot 00 belongs to another key system");
    for slot in [1, 3, 1] {
        let before = terminal.kcv(slot);
        let said = terminal.update(&server.terminals, &["--slot", &slot.to_string()]).json();
        assert_eq!(said["slot"], slot);
        let kcv = said["kcv"].as_str().map(str::to_owned);
        assert_ne!(kcv, before);
        assert_eq!(terminal.kcv(slot), kcv);
        assert_eq!(records::kcv(&database, "SHOP-1", slot, "active"), kcv);
    }
    // Outside of the acquirer's slots.
    terminal.update(&server.terminals, &["--slot", "42"]).refused();
    assert_eq!(terminal.kcv(42), None);
}

#[test]
fn what_does_not_start_leaves_what_ran_before() {
    let estate = Estate::loaded();
    estate.folder_vendor();
    let server = Server::start(&estate);
    let terminal = estate.terminal("SHOP-1");
    let (told, starts) = (estate.beside("told"), estate.beside("start"));
    let good = script(&starts, &format!("echo \"$@\" > {}", told.display()));
    estate.published("app", "1.0.0", 1000);
    estate.deploy("app@1.0.0", &[]).good();
    terminal.update(&server.terminals, &["--start-command", &good]).good();
    assert_eq!(fs::read_to_string(&told).unwrap(), "app 1.0.0 (application)\n");

    let not_this = "case \"$*\" in *2.0.0*) exit 7;; esac";
    estate.published("app", "2.0.0", 1000);
    estate.deploy("app@2.0.0", &["--stop-at-least", "9"]).good();
    let (said, why) =
        failed(terminal.update(&server.terminals, &["--start-command", &script(&starts, not_this)]));
    assert!(why.contains("what was new does not start") && why.contains("exit status: 7"), "{why}");
    assert!(why.contains("the terminal runs what it ran before"), "{why}");
    assert!(said["returned"].as_str().unwrap().contains("exit status: 7"), "{said}");
    assert_eq!(said["refused"][0]["package"], "app 2.0.0 (application)", "{said}");
    assert_eq!(terminal.installed(), ["app 1.0.0 (application)"]);
    let deployment = &estate.deployments()[1];
    assert_eq!((&deployment["installed"], &deployment["failed"]), (&0.into(), &1.into()), "{deployment}");
    // The same deployment does not try again; a new one does, and a start command that is none is a failure too.
    let said = terminal.update(&server.terminals, &["--start-command", &good]).json();
    assert_eq!(said["installed"], Value::Array(vec![]));
    estate.deploy("app@2.0.0", &["--stop-at-least", "9"]).good();
    let none = estate.beside("no-such-program").to_str().unwrap().to_owned();
    // Nor does what ran before start then: the terminal has it still.
    let why = terminal.update(&server.terminals, &["--start-command", &none]).refused();
    assert!(why.contains("the start command cannot be run"), "{why}");
    assert_eq!(terminal.installed(), ["app 1.0.0 (application)"]);
    estate.deploy("app@2.0.0", &[]).good();
    terminal.update(&server.terminals, &["--start-command", &script(&starts, "exit 0")]).good();
    assert_eq!(terminal.installed(), ["app 2.0.0 (application)"]);
}

#[test]
fn a_line_cut_at_any_message_loses_no_more_than_that() {
    const SIZE: u64 = 250_000;
    let estate = Estate::loaded();
    estate.folder_vendor();
    estate.published("app", "1.0.0", usize::try_from(SIZE).unwrap());
    estate.deploy("app@1.0.0", &[]).good();
    let server = Server::start(&estate);
    let terminal = estate.terminal("SHOP-2");
    for cut in [1, 3, 5, 7, 9, 10] {
        terminal
            .update(&server.terminals, &["--cut-after", &cut.to_string()])
            .refused_with(&format!("the line was cut after {cut} frames; what came is kept"));
        assert_eq!(terminal.installed(), Vec::<String>::new());
    }
    let said = terminal.update(&server.terminals, &[]).json();
    let bytes = said["bytes"].as_u64().unwrap();
    assert!(bytes > 0 && bytes < SIZE, "what came before the cuts does not come again: {said}");
    assert_eq!(terminal.installed(), ["app 1.0.0 (application)"]);
    let kept = fs::read_dir(terminal.folder.join("packages/incoming")).unwrap().count();
    assert_eq!(kept, 0, "nothing is left lying about");
}

#[test]
fn a_package_that_was_exchanged_after_it_was_published_is_refused() {
    let estate = Estate::loaded();
    estate.folder_vendor();
    estate.published("app", "1.0.0", 3000);
    estate.deploy("app@1.0.0", &[]).good();
    fs::write(estate.content("app", "1.0.0"), random(3000)).unwrap();
    let server = Server::start(&estate);
    let (said, why) = failed(estate.terminal("SHOP-1").update(&server.terminals, &[]));
    assert!(why.contains("1 packages were refused; the TMS was told why"), "{why}");
    let why = said["refused"][0]["why"].as_str().unwrap();
    assert!(why.contains("another hash than the one that was signed"), "{said}");
    assert_eq!(estate.terminal("SHOP-1").installed(), Vec::<String>::new());
    let shown = run(&mut estate.tms(&["terminal", "SHOP-1"])).good();
    assert!(shown.contains("failed") || shown.contains("refused"), "{shown}");
}

#[test]
fn a_terminal_that_demands_approval_takes_nothing_without() {
    let estate = Estate::loaded();
    estate.folder_vendor();
    let server = Server::start(&estate);
    let kld = Kld::of(&estate);
    kld.find(&server);
    let terminal = make_terminal(&estate, "SHOP-9", &["--approval-demanded"]);
    kld.open_run(&estate, &["SHOP-9"], &["dmk"]).good();
    kld.load(&estate, &[&terminal]).good();
    kld.close_run(&estate).good();
    estate.published("app", "1.0.0", 500);
    estate.deploy("app@1.0.0", &[]).good();
    let (said, _) = failed(terminal.update(&server.terminals, &[]));
    let why = said["refused"][0]["why"].as_str().unwrap();
    assert!(why.contains("demands the acquirer's approval"), "{said}");
    let manifest = estate.signed("app", "1.0.1", 500, &[]);
    let (approval, ran) = estate.approve(&manifest, "approver.pem");
    ran.good();
    estate.publish(&manifest, &["--approval", approval.to_str().unwrap()]).good();
    estate.deploy("app@1.0.1", &[]).good();
    terminal.update(&server.terminals, &[]).good();
    assert_eq!(terminal.installed(), ["app 1.0.1 (application)"]);
}

#[test]
fn parameters_are_merged_and_a_vendors_database_gives_them() {
    let estate = Estate::loaded();
    estate.set_vendor(&["--database"]).good();
    let server = Server::start(&estate);
    let terminal = estate.terminal("SHOP-3");
    let publish = |name: &str, kind: &str, version: &str, document: &str| {
        let content = estate.content(name, version);
        fs::write(&content, document).unwrap();
        let package = Package { name, version, kind };
        let (manifest, ran) = estate.sign_file(&content, package, &[]);
        ran.good();
        estate.publish(&manifest, &["--content", content.to_str().unwrap()]).good();
        fs::remove_file(content).unwrap();
        estate.deploy(&format!("{name}@{version}"), &[]).good();
    };
    let limits = |version: &str, document: &str| publish("limits", "parameters", version, document);
    let refused = |wanted: &str| {
        let (said, _) = failed(terminal.update(&server.terminals, &[]));
        let why = said["refused"][0]["why"].as_str().unwrap();
        assert!(why.contains(wanted), "{said}");
    };
    limits("0.1.0", "{}");
    refused("the schema limits.schema.json is missing");
    let schema =
        r#"{"properties":{"contactless":{"properties":{"limit":{"maximum":100}},"required":["pin"]}}}"#;
    publish("limits.schema.json", "data-file", "1.0.0", schema);
    limits("1.0.0", r#"{"contactless":{"limit":50,"pin":true}}"#);
    terminal.update(&server.terminals, &[]).good();
    // A patch: what it does not name stays.
    limits("1.1.0", r#"{"contactless":{"limit":80}}"#);
    terminal.update(&server.terminals, &[]).good();
    assert!(terminal.has("limits 1.1.0 (parameters)"));
    for (version, document, why) in [
        ("1.2.0", r#"{"contactless":{"limit":101}}"#, "the parameters would not hold to their schema"),
        ("1.2.1", r#"{"contactless":{"pin":null}}"#, "the parameters would not hold to their schema"),
        ("1.2.2", "no JSON at all", "the parameters cannot be used"),
    ] {
        limits(version, document);
        refused(why);
        assert!(terminal.has("limits 1.1.0 (parameters)"), "{version}");
    }
}
