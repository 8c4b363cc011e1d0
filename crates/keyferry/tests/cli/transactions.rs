//! `keyferry terminal sign-in`, `pin` and `mac`, and what a POSP makes of them.

use std::fs;

use serde_json::json;

use crate::support::{
    estate::Estate,
    folders::{edit, write_secret},
    kld::make_terminal,
    posp::{Posp, serve},
    records,
    server::Server,
    terminals::Terminal,
    tool::{Ran, keyferry, run},
};

const PAN: &str = "4111111111111111";

fn sign_in(terminal: &Terminal, server: &str, slot: &str) -> Ran {
    let mut command = keyferry(["terminal", "sign-in", "--json", "--slot", slot, "--server", server]);
    run(command.arg(&terminal.folder))
}

fn enter(terminal: &Terminal, pan: &str, pin: &str, further: &[&str]) -> Ran {
    let (pans, pins) = (terminal.folder.with_extension("pan"), terminal.folder.with_extension("pin"));
    write_secret(&pans, pan);
    write_secret(&pins, pin);
    let mut command = keyferry(["terminal", "pin", "--json", "--slot", "0"]);
    command.args(further).arg("--pan-file").arg(&pans).arg("--pin-file").arg(&pins);
    run(command.arg(&terminal.folder))
}

fn mac(terminal: &Terminal, data: &[u8], slot: &str) -> Ran {
    let message = terminal.folder.with_extension("message");
    fs::write(&message, data).unwrap();
    let mut command = keyferry(["terminal", "mac", "--json", "--slot", slot, "--data"]);
    run(command.arg(message).arg(&terminal.folder))
}

#[test]
fn working_keys_are_named_alike_at_both_ends_and_replaced_at_each_sign_in() {
    let estate = Estate::loaded();
    edit(
        &estate.path("keyferry.toml"),
        &[("tdk = false", "tdk = true"), ("pik_length = 24", "pik_length = 16")],
    );
    let server = Server::start(&estate);
    let terminal = estate.terminal("SHOP-1");
    let database = estate.path("keyferry.db");
    let mut before = vec![];
    for _ in 0..2 {
        let said = sign_in(&terminal, &server.terminals, "0").json();
        let kcvs: Vec<_> =
            said["kcvs"].as_array().unwrap().iter().map(|kcv| kcv.as_str().unwrap().to_owned()).collect();
        assert_eq!(kcvs.len(), 3, "PIK, MAK and TDK: {said}");
        let slots = terminal.status()["slots"].clone();
        let shown: Vec<_> = ["pik_kcv", "mak_kcv", "tdk_kcv"].map(|key| slots[0][key].clone()).to_vec();
        assert_eq!(shown, kcvs);
        for kcv in &kcvs {
            let active =
                format!("SELECT count(*) FROM working_keys WHERE state = 'active' AND hex(kcv) = '{kcv}'");
            assert_eq!(records::number(&database, &active), 1, "{kcv}");
        }
        assert!(kcvs.iter().all(|kcv| !before.contains(kcv)), "new ones each time");
        before = kcvs;
    }
    let active = "SELECT count(*) FROM working_keys WHERE state = 'active'";
    assert_eq!(records::number(&database, active), 3);
    estate.verify_audit().good();
}

#[test]
fn a_terminal_without_a_key_makes_neither_pin_block_nor_mac() {
    let estate = Estate::loaded();
    let server = Server::start(&estate);
    let terminal = estate.terminal("SHOP-1");
    enter(&terminal, PAN, "1234", &[]).refused_with("slot 00 has no PIK: sign in first");
    mac(&terminal, b"message", "0").refused_with("slot 00 has no MAK: sign in first");
    sign_in(&terminal, &server.terminals, "7").refused();
    let usage = sign_in(&terminal, &server.terminals, "100");
    assert_eq!(usage.code, Some(2));
    // One that the host does not know, or that has no key there, is told no more than that.
    let stranger = make_terminal(&estate, "STRANGER", &[]);
    sign_in(&stranger, &server.terminals, "0").refused();
    sign_in(&terminal, &server.terminals, "0").good();
    assert!(server.stop().success());
    sign_in(&terminal, "127.0.0.1:1", "0").refused_with("cannot connect to 127.0.0.1:1");
    // Neither does it need its server for a transaction.
    enter(&terminal, PAN, "1234", &[]).good();
    mac(&terminal, b"message", "0").good();
    mac(&terminal, b"message", "1").refused_with("slot 01 has no MAK: sign in first");
    let missing = estate.beside("no-such-message");
    let mut command = keyferry(["terminal", "mac", "--slot", "0", "--data"]);
    run(command.arg(missing).arg(&terminal.folder)).refused_with("cannot read");
}

#[test]
fn a_pin_that_is_none_is_refused_and_never_repeated() {
    let estate = Estate::loaded();
    let server = Server::start(&estate);
    let terminal = estate.terminal("SHOP-2");
    sign_in(&terminal, &server.terminals, "0").good();
    for (pan, pin, further, wanted) in [
        (PAN, "123", &[][..], "a PIN is 4 to 12 digits"),
        (PAN, "1234567890123", &[], "a PIN is 4 to 12 digits"),
        (PAN, "12a4", &[], "a PIN is 4 to 12 digits"),
        ("4111 1111 1111 1111", "73941", &[], "a PAN is 1 to 19 digits"),
        (PAN, "73941", &["--format", "4"], "a PIN pad of suite 01 makes PIN blocks of formats 0 and 3"),
        (PAN, "73941", &["--format", "1"], "formats 0 and 3"),
        (PAN, "73941", &["--format", "2"], "format"),
    ] {
        let ran = enter(&terminal, pan, pin, further);
        assert!(!format!("{}{}", ran.out, ran.err).contains(pin), "{wanted}");
        ran.refused_with(wanted);
    }
    assert_eq!(enter(&terminal, PAN, "1234", &["--format", "5"]).code, Some(2));
    // Files that others can read are not believed to hold a secret.
    let mut command = keyferry(["terminal", "pin", "--slot", "0", "--pan-file"]);
    let open = estate.beside("open");
    fs::write(&open, PAN).unwrap();
    run(command.arg(&open).arg(&terminal.folder)).refused_with("can be read by others");
    for format in ["0", "3"] {
        let said = enter(&terminal, PAN, "1234", &["--format", format]).json();
        assert_eq!(said["pin_block"].as_str().unwrap().len(), 16);
    }
}

#[test]
fn a_pin_pad_encrypts_120_pins_an_hour_and_other_work_goes_on() {
    let estate = Estate::loaded();
    let server = Server::start(&estate);
    let terminal = estate.terminal("SHOP-3");
    sign_in(&terminal, &server.terminals, "0").good();
    let mut made = 0;
    let why = loop {
        let ran = enter(&terminal, PAN, "1234", &[]);
        if ran.code == Some(1) {
            break ran.refused();
        }
        made += 1;
        assert!(made <= 130, "no limit");
    };
    assert!(made >= 120, "{made}");
    assert!(why.contains("120 PINs an hour are encrypted at most: try again in"), "{why}");
    mac(&terminal, b"message", "0").good();
    let refusals = terminal.status()["refusals"]["records"].clone();
    assert!(refusals.to_string().contains("PIN rate"), "{refusals}");
    // A new PIK does not fill it.
    sign_in(&terminal, &server.terminals, "0").good();
    enter(&terminal, PAN, "1234", &[]).refused_with("120 PINs an hour");
}

#[test]
fn a_posp_verifies_what_a_terminal_made_until_the_policy_says_no() {
    let estate = Estate::loaded();
    edit(&estate.path("keyferry.toml"), &[("max_uses = 0", "max_uses = 3")]);
    serve(&estate);
    let server = Server::start(&estate);
    let terminal = estate.terminal("SHOP-4");
    sign_in(&terminal, &server.terminals, "0").good();
    let posp = Posp::new(&estate, &server);
    let made = mac(&terminal, b"0200 of 12.50", "0").json()["mac"].clone();
    let ask = |data: &str| {
        let body = json!({ "sn": "SHOP-4", "slot": 0, "data": data, "mac": made });
        posp.post("/v1/mac/verify", &body).unwrap()
    };
    // "0200 of 12.50" and "0200 of 99.50".
    assert_eq!(ask("MDIwMCBvZiAxMi41MA=="), (200, json!({ "ok": true })));
    assert_eq!(ask("MDIwMCBvZiA5OS41MA==").1["ok"], false);
    ask("MDIwMCBvZiAxMi41MA==");
    let (status, answer) = ask("MDIwMCBvZiAxMi41MA==");
    assert_ne!(status, 200, "{answer}");
    assert!(answer.to_string().contains("used too often"), "{answer}");
    sign_in(&terminal, &server.terminals, "0").good();
    assert_eq!(ask("MDIwMCBvZiAxMi41MA==").1["ok"], false, "made with the key before");
}
