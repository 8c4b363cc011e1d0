//! `keyferry host`: zone keys under a zone master key of two people's components, and terminals' names; and the client
//! certificates of POSPs.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    ceremony::{Agreed, component, random},
    estate::Estate,
    folders::mode,
    kld::LOADED,
    posp::{Posp, certify, serve},
    records,
    server::Server,
    tool::{Ran, openssl, run, text},
};

/// A PIN key's block under a zone master key, as an issuer sends it.
fn block(under: &[u8], usage: &str, algorithm: &str, mode: &str, key: &[u8]) -> String {
    let version = if under.len() == 32 { "D" } else { "B" };
    let fields = calc::HeaderText {
        version,
        usage,
        algorithm,
        mode,
        key_version: "00",
        exportability: "N",
        key_context: "0",
    };
    calc::wrap(under, &calc::header(&fields, &[]).unwrap(), key, None).unwrap().block.to_string()
}

fn host(estate: &Estate, arguments: &[&str]) -> Ran {
    let mut command = estate.configured(&[&["host"], arguments].concat());
    if arguments[0] == "zone-key" && arguments[1] != "list" {
        command.arg("--passphrase-file").arg(estate.secret("hsm-passphrase"));
    }
    run(&mut command)
}

fn import(estate: &Estate, under: &str, zone: &str, block: &str) -> Ran {
    let path = estate.beside("zone.block");
    fs::write(&path, block).unwrap();
    host(estate, &["zone-key", "import", zone, "--under", under, "--block", path.to_str().unwrap()])
}

#[test]
fn a_zone_key_comes_and_goes_under_a_key_of_two_peoples_components() {
    let estate = Estate::new();
    let master = Agreed::new("ZMK-1", "zone-master");
    let under = text(&master.type_in(&estate, &estate.path("hsm"), "ours"));
    let zone_key = component("tdes");
    let good = block(&master.key(), "P0", "T", "B", &zone_key);
    let said = import(&estate, &under, "ISSUER", &format!("{good}\n")).good();
    let kcv = master.check_value(&zone_key);
    assert!(said.contains(&format!("zone ISSUER has a tdes key with check value {kcv}")), "{said}");

    let out = text(&estate.beside("for-issuer.block"));
    let make = |zone: &str, further: &[&str]| {
        host(
            &estate,
            &[["zone-key", "make", zone, "--under", &under, "--out", &out].as_slice(), further].concat(),
        )
    };
    make("OTHER", &["--algorithm", "aes"]).refused();
    assert!(!fs::exists(&out).unwrap());
    make("OTHER", &[]).good();
    assert_eq!(mode(out.as_ref()), 0o600);
    let opened = calc::unwrap(&master.key(), fs::read_to_string(&out).unwrap().trim()).unwrap();
    let made = master.check_value(opened.key());
    make("THIRD", &[]).refused_with("for-issuer.block exists; nothing was changed");
    let listed = host(&estate, &["zone-key", "list"]).good();
    for (zone, kcv) in [("ISSUER", &kcv), ("OTHER", &made)] {
        let line = listed.lines().find(|line| line.contains(zone)).unwrap();
        assert!(line.contains("tdes") && line.contains(kcv.as_str()), "{line}");
    }
    assert!(!listed.contains("THIRD"), "{listed}");
    // Again, with another key: the one before is retired.
    let next = component("tdes");
    import(&estate, &under, "ISSUER", &block(&master.key(), "P0", "T", "E", &next)).good();
    assert!(host(&estate, &["zone-key", "list"]).good().contains(&master.check_value(&next)));
    let database = estate.path("keyferry.db");
    let active = "SELECT count(*) FROM zone_keys WHERE zone = 'ISSUER' AND state = 'active'";
    assert_eq!(records::number(&database, active), 1);
    let kinds = records::events(&database);
    assert_eq!(kinds.iter().filter(|kind| *kind == "zone-key.imported").count(), 2);
    assert_eq!(kinds.iter().filter(|kind| *kind == "zone-key.made").count(), 1);
}

#[test]
fn a_zone_key_that_is_none_is_refused_and_none_is_changed() {
    let estate = Estate::new();
    let master = Agreed::new("ZMK-1", "zone-master");
    let under = text(&master.type_in(&estate, &estate.path("hsm"), "ours"));
    let exchange = Agreed::new("KLD-9", "exchange");
    let exchange = text(&exchange.type_in(&estate, &estate.path("hsm"), "kld"));
    let key = component("tdes");
    let good = block(&master.key(), "P0", "T", "B", &key);
    let mut changed = good.clone().into_bytes();
    let last = changed.len() - 1;
    changed[last] = if changed[last] == b'0' { b'1' } else { b'0' };
    let other = component("tdes");
    let half = [&key[..8], &key[..8]].concat();
    for (what, bad) in [
        ("changed", String::from_utf8(changed).unwrap()),
        ("another zone master key", block(&other, "P0", "T", "B", &key)),
        ("a key that decrypts only", block(&master.key(), "P0", "T", "D", &key)),
        ("a MAC key", block(&master.key(), "M3", "T", "C", &key)),
        ("equal halves", block(&master.key(), "P0", "T", "B", &half)),
        ("no block at all", "a letter".to_owned()),
        ("nothing", String::new()),
    ] {
        let said = import(&estate, &under, "ISSUER", &bad).refused();
        assert!(!said.contains(&good[20..60]), "{what}: {said}");
    }
    import(&estate, &under, "no zone", &good).refused_with("is no name of a zone");
    import(&estate, &exchange, "ISSUER", &good).refused_with("holds no zone master key");
    let config = text(&estate.path("keyferry.toml"));
    import(&estate, &config, "ISSUER", &good)
        .refused_with("is not what `keyferry hsm component combine` writes");
    import(&estate, &text(&estate.beside("none")), "ISSUER", &good).refused_with("cannot read");
    // Another HSM's.
    let theirs = Estate::new();
    let foreign = Agreed::new("ZMK-1", "zone-master");
    let foreign = text(&foreign.type_in(&theirs, &theirs.path("hsm"), "theirs"));
    import(&estate, &foreign, "ISSUER", &good).refused();
    assert_eq!(records::number(&estate.path("keyferry.db"), "SELECT count(*) FROM zone_keys"), 0);
}

#[test]
fn an_aes_zone_has_a_master_key_of_its_own_kind() {
    let estate = Estate::new();
    let master = Agreed::new("ZMK-A", "zone-master-aes");
    let under = text(&master.type_in(&estate, &estate.path("hsm"), "ours"));
    let key = random(16);
    let kcv = master.check_value(&key);
    assert_eq!(kcv.len(), 10, "CMAC, five bytes");
    let said = import(&estate, &under, "AES-ZONE", &block(&master.key(), "P0", "A", "E", &key)).good();
    assert!(said.contains(&format!("zone AES-ZONE has a aes key with check value {kcv}")), "{said}");
    let out = text(&estate.beside("made.block"));
    for (zone, algorithm) in [("MADE-A", "aes"), ("MADE-T", "tdes")] {
        let _ = fs::remove_file(&out);
        let make = ["zone-key", "make", zone, "--under", &under, "--out", &out, "--algorithm", algorithm];
        assert!(host(&estate, &make).good().contains(&format!("{algorithm} key")));
        let opened = calc::unwrap(&master.key(), fs::read_to_string(&out).unwrap().trim()).unwrap();
        assert!(opened.key().len() >= 16);
    }
}

#[test]
fn components_are_of_one_key_one_session_and_different_people() {
    let estate = Estate::new();
    let hsm = estate.path("hsm");
    for (kind, digits) in [("zone-master", 6), ("zone-master-aes", 10)] {
        let key = Agreed::new("ZMK-1", kind);
        let blocks: Vec<_> = [1, 2].map(|part| key.paper(&estate, kind, &format!("{part}.block"))).to_vec();
        // Mistyped: one digit, one byte less, and the other kind's length.
        let mut wrong = key.components[0].clone();
        wrong[3] ^= 0x40;
        let longer = if digits == 6 { random(32) } else { component("tdes") };
        for typed in [&wrong, &key.components[0][1..].to_vec(), &longer] {
            let said = key.enter(&estate, &hsm, 1, typed, &blocks[0]).refused();
            assert!(said.contains("check the sheet"), "{said}");
            assert!(!said.to_uppercase().contains(&*calc::to_hex(&typed[..8])), "{said}");
            assert!(!blocks[0].exists());
        }
        for part in [1, 2] {
            key.enter(&estate, &hsm, part, &key.components[part - 1], &blocks[part - 1]).good();
        }
        let out = key.paper(&estate, kind, "json");
        let right = key.check_value(&key.key());
        assert_eq!(right.len(), digits);
        let combine = |parts: &[_], check: &str| key.combine(&estate, &hsm, parts, check, &out);
        combine(&blocks[..1], &right).refused_with("part 2 of 2 is missing");
        combine(&[blocks[0].clone(), blocks[0].clone()], &right).refused_with("part 1 is there twice");
        combine(&blocks, &"0".repeat(digits)).refused_with("the combined key's check value is another");
        combine(&blocks, &"0".repeat(16 - digits)).refused_with("a TDES key's has 3, an AES key's 5");
        let other = Agreed::new("ZMK-2", kind);
        let foreign = other.paper(&estate, kind, "2.block");
        other.enter(&estate, &hsm, 2, &other.components[1], &foreign).good();
        combine(&[blocks[0].clone(), foreign], &right)
            .refused_with("a component is of another key or session");
        assert!(!out.exists());
        combine(&blocks, &right).good();
        assert_eq!(mode(&out), 0o600);
    }
}

#[test]
fn terminals_have_names_that_are_found_either_way() {
    let estate = Estate::loaded();
    let file = estate.beside("names");
    let set = |lines: &[Value]| {
        let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
        fs::write(&file, lines.join("\n\n")).unwrap();
        host(&estate, &["identity", "set", "--file", file.to_str().unwrap()])
    };
    let name = |sn: &str, tid: &str, mid: &str| json!({ "sn": sn, "terminal_id": tid, "merchant_id": mid });
    let said = set(&[name("SHOP-1", "T0000001", "M-1"), name("SHOP-2", "T0000002", "M-1")]).good();
    assert!(said.contains("2 terminals have their names, 0 were refused"), "{said}");
    let ran = set(&[
        name("SHOP-3", "T0000003", "M-2"),
        name("SHOP-77", "T0000077", "M-2"),
        name("SHOP-4", "T0000001", "M-2"),
        name("SHOP-4", "", "M-2"),
    ]);
    assert!(ran.out.contains("line 3, SHOP-77: no terminal has this serial"), "{}", ran.out);
    assert!(ran.out.contains("line 5, SHOP-4: terminal SHOP-1 has this terminal id"), "{}", ran.out);
    assert!(ran.out.contains("line 7, SHOP-4: "), "{}", ran.out);
    assert!(ran.out.contains("1 terminals have their names, 3 were refused"), "{}", ran.out);
    ran.refused_with("not every line was taken; mend those and run it again");
    fs::write(&file, "{\"sn\":\"SHOP-4\",\"tid\":\"T4\"}").unwrap();
    host(&estate, &["identity", "set", "--file", file.to_str().unwrap()]).refused_with("names, line 1");

    let find = |arguments: &[&str]| host(&estate, &[["identity", "find"].as_slice(), arguments].concat());
    let of = |arguments: &[&str]| {
        let shown = find(arguments).good();
        LOADED.into_iter().filter(|sn| shown.contains(sn)).collect::<Vec<_>>()
    };
    assert_eq!(of(&["--sn", "SHOP-1"]), ["SHOP-1"]);
    assert_eq!(of(&["--terminal-id", "T0000002"]), ["SHOP-2"]);
    assert_eq!(of(&["--merchant-id", "M-1"]), ["SHOP-1", "SHOP-2"]);
    assert_eq!(of(&["--merchant-id", "M-1", "--after", "SHOP-1"]), ["SHOP-2"]);
    assert_eq!(of(&["--terminal-id", "T0000077"]), Vec::<&str>::new());
    for usage in [&[][..], &["--sn", "A", "--terminal-id", "B"], &["--sn", "A", "--after", "B"]] {
        assert_eq!(find(usage).code, Some(2), "{usage:?}");
    }
}

#[test]
fn a_posp_is_served_by_the_name_in_its_certificate() {
    let estate = Estate::loaded();
    let said = run(certify(&estate, "posp-2").args(["--server-name", "here.example"]));
    assert_eq!(said.code, Some(2), "a client's or a server's, not both: {said:?}");
    run(&mut certify(&estate, "posp-2")).good();
    let shown = openssl(["x509", "-noout", "-text", "-in", &text(&estate.beside("posp-2.pem"))]).good();
    assert!(shown.contains("TLS Web Client Authentication"), "{shown}");
    assert!(!shown.contains("TLS Web Server Authentication"), "{shown}");
    serve(&estate);
    let server = Server::start(&estate);
    let body = json!({ "sn": "SHOP-1", "slot": 0, "data": "AAAA", "mac": "0000000000000000" });
    let (status, answer) = Posp::new(&estate, &server).post("/v1/mac/verify", &body).unwrap();
    assert_ne!(status, 200, "{answer}");
    assert!(answer.to_string().contains("sign in"), "no working key yet: {answer}");
    for other in [None, Some("posp-2")] {
        let refused = Posp::with(&estate, &server, other).post("/v1/mac/verify", &body);
        assert!(refused.is_none_or(|(status, _)| status == 403), "{other:?}");
    }
}
