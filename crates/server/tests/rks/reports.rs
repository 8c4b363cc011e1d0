//! A KLD's report: who may sign it, what of it is taken, and that it is taken once.

use paycrypto::TdesKey;
use pki::Role;
use serde_json::{Value, json};

use super::loading::{post_report, with};
use crate::support::{
    estate::{DAY, ESTATE, now, valid},
    https::{self, Answer, CMS},
    line::{End, connect},
    package::signed,
    raw::Raw,
    rks::{RawDevice, hex, report},
    world::{Options, Server, World, results},
};

fn post(server: &Server, cms: &[u8]) -> Answer {
    https::post(server.https, "/v1/kld-reports", CMS, cms)
}

fn codes(answer: &Answer) -> Vec<String> {
    results(answer).iter().map(|result| result["code"].as_str().unwrap().to_owned()).collect()
}

fn tdes() -> Vec<u8> {
    TdesKey::generate24().unwrap().expose().to_vec()
}

fn adding(mut entry: Value, key: Value) -> Value {
    entry["keys"].as_array_mut().unwrap().push(key);
    entry
}

#[test]
fn a_good_report_makes_keys_known_and_devices_served() {
    let device = RawDevice::with_pin_pad("SN-1", "PP-1");
    let (tmk, dmk) = (tdes(), tdes());
    let entry =
        adding(adding(device.entry(), device.key_entry("tmk", 7, &tmk)), device.key_entry("dmk", 0, &dmk));
    let world = World::new();
    let server = world.start(&Options::default());
    let answer = post_report(&server, &report("run-1", &[entry]));
    assert_eq!(
        results(&answer),
        [json!({ "sn": "SN-1", "ok": true, "code": "taken", "text": "3 new keys" })]
    );
    let check = crate::support::raw::check_value;
    assert_eq!(world.keys("SN-1", 7, "active"), [hex(&check(&tmk))]);
    let kept: (String, String) = world
        .sql()
        .query_row("SELECT hex(dmk_kcv), hex(dik2_kcv) FROM devices", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(kept, (hex(&check(&dmk)), hex(&check(&device.dik2))));
    device.load_on(&mut connect(server.terminals), 0).unwrap();
    let said = &world.events("kld.terminal", "SN-1")[0];
    assert_eq!((said.detail["kld"].clone(), said.actor.clone()), (json!("KLD-7"), ESTATE.operator.subject()));
    world.assert_audit_good();
}

#[test]
fn the_same_content_again_is_409_however_it_is_signed() {
    let (world, server) = with(&[], &Options::default());
    let content = report("run-1", &[RawDevice::new("SN-1").entry()]);
    let first = signed(&ESTATE.operator, &content);
    assert_eq!(codes(&post(&server, &first)), ["taken"]);
    let other = ESTATE.card(Role::Operator, "Other Operator", valid());
    for again in [first, signed(&other, &content)] {
        let answer = post(&server, &again);
        assert_eq!((answer.status, answer.code()), (409, "received-before"));
    }
    assert_eq!(world.count("kld_reports"), 2, "the empty one of the start, and this");
}

#[test]
fn a_changed_report_and_a_wrong_card_are_403_and_nothing_is_stored() {
    let world = World::new();
    let server = world.start(&Options::default());
    let content = report("run-1", &[RawDevice::new("SN-1").entry()]);
    let mut changed = signed(&ESTATE.operator, &content);
    let at = changed.windows(5).position(|window| window == b"run-1").unwrap();
    changed[at + 4] = b'2';
    let expired = pki::issue::Validity { not_before: now() - 20 * DAY, not_after: now() - DAY };
    let refused = [
        (changed, "bad-signature"),
        (signed(&ESTATE.administrator, &content), "card-refused"),
        (signed(&ESTATE.foreign_operator(), &content), "card-refused"),
        (signed(&ESTATE.card(Role::Operator, "Late", expired), &content), "card-refused"),
    ];
    for (cms, code) in refused {
        let answer = post(&server, &cms);
        assert_eq!((answer.status, answer.code()), (403, code), "{answer:?}");
    }
    let revoked = ESTATE.card(Role::Operator, "Revoked", valid());
    world.write("crl.pem", &ESTATE.crl(2, &[&revoked.certificate]));
    let answer = post(&server, &signed(&revoked, &content));
    assert_eq!((answer.status, answer.code()), (403, "card-revoked"));
    assert_eq!((world.count("kld_reports"), world.count("devices")), (0, 0));
}

#[test]
fn a_report_that_cannot_be_used_is_422_and_in_the_audit() {
    let world = World::new();
    let server = world.start(&Options::default());
    let good = || report("run-1", &[RawDevice::new("SN-1").entry()]);
    let with = |name: &str, value: Value| {
        let mut content = good();
        content[name] = value;
        content
    };
    let bad = [
        with("version", json!(2)),
        with("kld", json!("")),
        with("closed_at", json!("yesterday")),
        with("closed_at", json!("2026-11-20T10:00:00Z")),
        with("closed_at", json!("2099-11-20T10:00:00Z")),
        with("exchange_key", json!("KLD-8")),
        with("compromised", json!(["not a serial"])),
        with("terminals", json!("none")),
    ];
    for content in &bad {
        let answer = post_report(&server, content);
        assert_eq!((answer.status, answer.code()), (422, "bad-content"), "{content}: {answer:?}");
    }
    let refused = world.audit().into_iter().filter(|event| event.kind == "kld-report.refused").count();
    assert_eq!((refused, world.count("kld_reports")), (bad.len(), 0));
}

/// One bad terminal does not spoil the others; blocks are imported by the HSM, each in its place only.
#[test]
fn bad_entries_are_refused_one_by_one() {
    let world = World::new();
    let server = world.start(&Options::default());
    let device = |sn: &str| RawDevice::new(sn);
    let key = tdes();
    let only = |sn: &str, key: Value| json!({ "sn": sn, "ok": true, "keys": [key] });
    let elsewhere = device("SN-9").key_entry("tmk", 3, &key);
    let mut other_slot = device("SN-3").key_entry("tmk", 3, &key);
    other_slot["slot"] = json!(4);
    let mut changed = device("SN-4").key_entry("tmk", 3, &key);
    let block = changed["block"].as_str().unwrap().to_owned();
    let last = if block.ends_with('0') { "1" } else { "0" };
    changed["block"] = json!(format!("{}{last}", &block[..block.len() - 1]));
    let mut other_kcv = device("SN-5").key_entry("tmk", 3, &key);
    other_kcv["kcv"] = json!("000000");
    let weak = device("SN-6").key_entry("tmk", 3, &[0x23; 24]);
    let mut as_dmk = device("SN-7").key_entry("tmk", 0, &key);
    as_dmk["kind"] = json!("dmk");
    let mut unknown_dik1 = device("SN-8").entry();
    unknown_dik1["keys"][0]["label"] = json!("no-such");
    let mut no_slot = device("SN-10").key_entry("tmk", 3, &key);
    no_slot.as_object_mut().unwrap().remove("slot");
    let entries = [
        device("SN-1").entry(),
        only("SN-2", elsewhere),
        only("SN-3", other_slot),
        only("SN-4", changed),
        only("SN-5", other_kcv),
        only("SN-6", weak),
        only("SN-7", as_dmk),
        unknown_dik1,
        only("SN 9", json!({ "kind": "dmk", "kcv": "000000" })),
        only("SN-10", no_slot),
        json!({ "sn": "SN-11", "ok": false, "code": "0008", "keys": [] }),
        device("SN-12").entry(),
    ];
    let answer = post_report(&server, &report("run-1", &entries));
    let expected = [
        "taken",
        "block-refused",
        "block-refused",
        "block-refused",
        "wrong-check-value",
        "block-refused",
        "block-refused",
        "unknown-dik1",
        "malformed",
        "malformed",
        "nothing-loaded",
        "taken",
    ];
    assert_eq!(codes(&answer), expected, "{answer:?}");
    let known: i64 = world.count("terminals");
    assert_eq!((known, world.count("devices"), world.count("tmks")), (2, 2, 0));
}

#[test]
fn a_dik2_without_a_label_is_of_the_one_dik1_for_all_devices() {
    let device = RawDevice::new("SN-1");
    let world = World::new();
    let server = world.start(&Options::default());
    let mut entry = device.entry();
    entry["keys"][0].as_object_mut().unwrap().remove("label");
    assert_eq!(codes(&post_report(&server, &report("run-1", &[entry]))), ["taken"]);
    device.load_on(&mut connect(server.terminals), 0).unwrap();
}

#[test]
fn keys_that_nobody_confirmed_are_left_out() {
    let device = RawDevice::new("SN-1");
    let world = World::new();
    let server = world.start(&Options::default());
    let mut tmk = device.key_entry("tmk", 7, &tdes());
    tmk["unconfirmed"] = json!(true);
    let mut entry = adding(device.entry(), tmk);
    (entry["ok"], entry["code"]) = (json!(false), json!("unconfirmed"));
    let answer = post_report(&server, &report("run-1", &[entry]));
    assert!(results(&answer)[0]["text"].as_str().unwrap().contains("1 that the terminal did not confirm"));
    assert_eq!((world.count("tmks"), world.count("devices")), (0, 1));
}

#[test]
fn r11_a_compromised_serial_is_a_stranger_until_it_is_loaded_anew() {
    let device = RawDevice::new("SN-1");
    let (world, server) = with(&[&device], &Options::default());
    device.load_on(&mut connect(server.terminals), 0).unwrap();
    let mut content = report("run-2", &[device.entry()]);
    content["compromised"] = json!([{ "sn": "SN-1", "kind": "dik2", "kcv": "000000" }, "SN-2"]);
    content["closed_at"] = json!("2026-11-20T13:00:00Z");
    let answer = post_report(&server, &content);
    assert_eq!((codes(&answer), &results(&answer)[0]["ok"]), (vec!["compromised".to_owned()], &json!(false)));
    let mut line = connect(server.terminals);
    let asked = device.ask(&mut line, 0).unwrap();
    RawDevice::prove(&mut line, &asked, &[7; 80]);
    assert_eq!(line.end(), End::Code(0x0006));
    assert!(device.open(asked).is_none());
    assert_eq!(world.events("alarm.compromised-at-kld", "SN-1").len(), 1);
    let anew = RawDevice::new("SN-1");
    let mut content = report("run-3", &[anew.entry()]);
    content["closed_at"] = json!("2026-11-20T14:00:00Z");
    assert_eq!(codes(&post_report(&server, &content)), ["taken"]);
    anew.load_on(&mut connect(server.terminals), 0).unwrap();
}

/// Each flow serves the terminals that it has keys for: a TK and a DIK2 of one terminal stand side by side.
#[test]
fn a_collected_terminal_is_served_by_both_flows() {
    let (raw, device) = (Raw::new("SN-1"), RawDevice::new("SN-1"));
    let (world, server) = with(&[], &Options::default());
    server.collect(&[&raw]);
    let other_pad = RawDevice::with_pin_pad("SN-1", "PP-1");
    let content = |run: &str, device: &RawDevice| report(run, &[device.entry()]);
    assert_eq!(codes(&post_report(&server, &content("run-8", &other_pad))), ["other-pin-pad"]);
    assert_eq!(codes(&post_report(&server, &content("run-9", &device))), ["taken"]);
    raw.download(server.terminals, 0).unwrap();
    device.load_on(&mut connect(server.terminals), 1).unwrap();
    assert_eq!(world.keys("SN-1", 0, "active").len(), 1);
    // A terminal that only a KLD knows has no TK: flow A knows no such terminal.
    let only = RawDevice::new("SN-2");
    assert_eq!(codes(&post_report(&server, &content("run-10", &only))), ["taken"]);
    assert_eq!(Raw::new("SN-2").intrude(server.terminals, 0), End::Code(0x0006));
}

/// What a KLD says beyond keys stays in the package, and does no harm.
#[test]
fn a_report_in_full_length_is_taken() {
    let device = RawDevice::new("SN-1");
    let world = World::new();
    let server = world.start(&Options::default());
    let mut content = report("run-1", &[device.entry()]);
    content["exchange_key"] = json!("KLD-7");
    content["missing"] = json!([{ "sn": "SN-2" }]);
    content["refused"] = json!([{ "sn": "SN-3", "code": "0004", "at": "2026-11-20T11:30:00Z" }]);
    content["stopped"] = json!("a serial came twice");
    assert_eq!(codes(&post_report(&server, &content)), ["taken"]);
    device.load_on(&mut connect(server.terminals), 0).unwrap();
    assert_eq!(world.count("terminals"), 1);
}
