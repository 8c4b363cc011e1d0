//! R1 of docs/spec/4-requirements.md for flows B, E and F: PINs, card numbers, passwords, components and every key that
//! can be known are looked for wherever they may not be, after every command has had them in its hands.

use std::{fs, process::Command};

use serde_json::json;

use crate::support::{
    canary::{self, Known},
    ceremony::{Agreed, component, random},
    estate::{Estate, SECRETS},
    folders::{edit, write_secret},
    kld::{Kld, make_terminal},
    lmk, posp,
    pump::Tap,
    scan,
    server::Server,
    tool::{keyferry, run, text},
};

/// A card number of a range for tests, with its check digit.
const PAN: &str = "4929735180264138";
const PASSWORD: &str = "operator-v4hx-password-t1sk";

/// Runs commands and keeps all that they say.
#[derive(Default)]
struct Heard(String);

impl Heard {
    #[track_caller]
    fn good(&mut self, command: &mut Command) -> String {
        let ran = run(command);
        self.0 += &ran.out;
        self.0 += &ran.err;
        ran.good()
    }

    #[track_caller]
    fn bad(&mut self, command: &mut Command) {
        let ran = run(command);
        self.0 += &ran.out;
        self.0 += &ran.err;
        ran.refused();
    }
}

fn pin() -> String {
    random(12).iter().map(|byte| char::from(b'0' + byte % 10)).collect()
}

#[test]
fn r33_no_pin_no_password_and_no_key_of_any_flow_is_anywhere_else() {
    let estate = Estate::loaded();
    let mut heard = Heard::default();
    edit(
        &estate.path("keyferry.toml"),
        &[
            ("level = \"info\"", "level = \"trace\""),
            ("tdk = false", "tdk = true"),
            ("operator_required = false", "operator_required = true"),
        ],
    );
    posp::serve(&estate);
    estate.folder_vendor();
    let secret = |name: &str, value: &str| {
        write_secret(&estate.secret(name), value);
        text(&estate.secret(name))
    };
    let hsm = estate.secret("hsm-passphrase");

    // Zone keys, before there is a server, and an operator.
    let master = Agreed::new("ZMK-1", "zone-master");
    let under = master.type_in(&estate, &estate.path("hsm"), "ours");
    let zone_key = component("tdes");
    let moved = component("tdes");
    let block = |usage, key: &[u8]| {
        let fields = calc::HeaderText {
            version: "B",
            usage,
            algorithm: "T",
            mode: "B",
            key_version: "00",
            exportability: "N",
            key_context: "0",
        };
        let header = calc::header(&fields, &[]).unwrap();
        calc::wrap(&master.key(), &header, key, None).unwrap().block.to_string()
    };
    fs::write(estate.beside("zone.block"), block("P0", &zone_key)).unwrap();
    let tmk = json!({ "slot": 0, "block": block("K0", &moved), "kcv": master.check_value(&moved) });
    let line = json!({ "sn": "OLD-1", "vendor": "KF", "model": "SIM-1", "tmks": [tmk] });
    fs::write(estate.beside("old.jsonl"), format!("{line}\n")).unwrap();
    let zone = |arguments: &[&str]| {
        let mut command = estate.configured(&[&["host", "zone-key"], arguments].concat());
        command.arg("--passphrase-file").arg(&hsm).arg("--under").arg(&under);
        command
    };
    heard.good(zone(&["import", "ISSUER"]).arg("--block").arg(estate.beside("zone.block")));
    heard.bad(zone(&["import", "OTHER"]).arg("--block").arg(&under));
    heard.good(zone(&["make", "MADE"]).arg("--out").arg(estate.beside("made.block")));
    let mut import = estate.configured(&["kms", "import", "--source", "old"]);
    import.arg("--under").arg(&under).arg("--report").arg(estate.beside("moved.json"));
    heard.good(import.arg("--passphrase-file").arg(&hsm).arg(estate.beside("old.jsonl")));
    let password = secret("operator-password", PASSWORD);
    let mut set = estate.tms(&["operator", "set", "OP-1", "--password-file", &password]);
    heard.good(set.arg("--passphrase-file").arg(&hsm));

    // A terminal is loaded by cable, then goes through everything with its line listened to.
    let server = Server::start(&estate);
    let kld = Kld::of(&estate);
    kld.find(&server);
    let terminal = make_terminal(&estate, "SHOP-9", &[]);
    for ran in [
        kld.open_run(&estate, &["SHOP-9"], &["tmk:0", "dmk"]),
        kld.load(&estate, &[&terminal]),
        kld.close_run(&estate),
    ] {
        heard.0 += &ran.err;
        heard.0 += &ran.good();
    }
    estate.published("app", "1.0.0", 100_000);
    estate.deploy("app@1.0.0", &[]).good();
    let tap = Tap::before(&server.terminals);
    let operator = ["--operator", "OP-1", "--password-file", &password];
    heard.good(&mut terminal.tms(&tap.address, &operator));
    heard.good(terminal.tms(&tap.address, &operator).args(["--slot", "1"]));
    let wrong = secret("wrong-password", "operator-v4hx-password-t1sK");
    let mistaken = ["--operator", "OP-1", "--password-file", &wrong];
    heard.bad(&mut terminal.tms(&tap.address, &mistaken));
    for slot in ["0", "1"] {
        let mut sign_in = keyferry(["terminal", "sign-in", "--server", &tap.address, "--slot", slot]);
        heard.good(sign_in.arg(&terminal.folder));
    }
    let pin = pin();
    let (pans, pins) = (secret("pan", PAN), secret("pin", &pin));
    let mut enter = keyferry(["terminal", "pin", "--slot", "0", "--pan-file", &pans, "--pin-file", &pins]);
    let pin_block = heard.good(enter.arg(&terminal.folder)).trim().to_owned();
    heard.bad(enter.args(["--format", "4"]));
    let message = estate.beside("message");
    fs::write(&message, "0200").unwrap();
    let mut mac = keyferry(["terminal", "mac", "--slot", "0", "--data"]);
    heard.good(mac.arg(&message).arg(&terminal.folder));

    // The host: a PIN that it translates, and what it refuses.
    let client = posp::Posp::new(&estate, &server);
    let translate = |pan: &str, zone: &str, block: &str| {
        let body = json!({ "sn": "SHOP-9", "slot": 0, "pan": pan, "from": 0, "to": 3, "pin_block": block,
                           "zone": zone });
        let (status, answer) = client.post("/v1/pin/translate", &body).unwrap();
        (status, answer["pin_block"].as_str().unwrap_or_default().to_owned(), answer.to_string())
    };
    let (status, translated, _) = translate(PAN, "ISSUER", &pin_block);
    assert_eq!(status, 200);
    let bytes = calc::read_hex(&translated, "PIN block").unwrap();
    let opened = calc::decode_pin(3, &bytes, Some(PAN), Some(&zone_key)).unwrap();
    assert_eq!(opened.pin(), pin, "the issuer, and nobody else, has it");
    let mut refused = |requests: &[(&str, &str, &str)]| {
        for (pan, zone, block) in requests {
            let (status, _, said) = translate(pan, zone, block);
            assert_ne!(status, 200);
            heard.0 += &said;
        }
    };
    refused(&[
        ("4111111111111111", "ISSUER", &pin_block),
        (PAN, "NOWHERE", &pin_block),
        (PAN, "ISSUER", "0000000000000000"),
    ]);

    // All that can be known.
    let secrets = lmk::open(&estate.path("hsm"), SECRETS[0].1);
    let mut known = canary::in_database(&estate.path("keyferry.db"), &secrets);
    let stored = known.len();
    canary::on_the_line(&tap.answers(), &mut known);
    let count = |part: &str| known.iter().filter(|known| known.what.contains(part)).count();
    assert!(stored >= 15 && count("zone_keys") == 2 && count("working_keys") == 6, "{}", list(&known));
    assert!(count("K1 on the line") >= 3, "DWKs and a TMK: {}", list(&known));
    assert!(count("D0 on the line under K1 on the line") >= 2, "session keys: {}", list(&known));
    let kld_secrets = lmk::open(&kld.folder.join("hsm"), SECRETS[0].1);
    for (what, key) in [
        ("LMK", secrets.lmk.clone()),
        ("KLD's LMK", kld_secrets.lmk),
        ("zone master key", master.key()),
        ("first component", master.components[0].clone()),
        ("second component", master.components[1].clone()),
        ("zone key", zone_key),
        ("moved TMK", moved),
        ("clear PIN block", calc::encode_pin(0, &pin, Some(PAN), None).unwrap().block().to_vec()),
    ] {
        known.push(Known { what: what.into(), key });
    }
    let mut needles = canary::needles(&known);
    needles.push(scan::raw("PIN", pin.as_bytes()));
    needles.push(scan::raw("operator password", PASSWORD.as_bytes()));
    assert_eq!(scan::found_in_memory(server.pid(), &needles).unwrap(), Vec::<String>::new());

    // By mistake somebody sends what he must not: it came, but it goes nowhere.
    refused(&[(PAN, "ISSUER", &pin), (&pin, "ISSUER", &pin_block), (PAN, &pin, &pin_block)]);
    needles.push(scan::raw("card number", PAN.as_bytes()));
    assert!(server.log().contains("TRACE") || server.log().contains("DEBUG"));
    assert!(server.stop().success());
    let mut show = keyferry(["audit", "show", "--json", "--limit", "100000", "--store"]);
    heard.good(show.arg(estate.path("keyferry.db")));
    assert_eq!(scan::found_in(heard.0.as_bytes(), &needles), Vec::<&str>::new());
    // The zone key's own block for the issuer is one of the files; what people hold is not.
    fs::remove_dir_all(estate.secrets()).unwrap();
    assert_eq!(scan::found_in_files(estate.folder(), &needles), Vec::<String>::new());
}

fn list(known: &[Known]) -> String {
    known.iter().map(|known| known.what.as_str()).collect::<Vec<_>>().join("\n")
}
