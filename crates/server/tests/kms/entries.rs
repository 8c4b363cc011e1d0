//! One bad terminal of a package does not spoil the others.

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    estate::ESTATE,
    https::Answer,
    line::End,
    package::{COLLECTED_AT, entry, entry_of, entry_with_clear, package, signed},
    raw::Raw,
    world::{Options, World, results},
};

/// Sends these between two good terminals; each must be refused with its code, and the good ones must work.
fn each_is_refused_alone(bad: &[(&str, Value)]) {
    let world = World::new();
    let server = world.start(&Options::default());
    let good = [Raw::new("GOOD-1"), Raw::new("GOOD-2")];
    let mut entries = vec![entry(&good[0])];
    entries.extend(bad.iter().map(|(_, entry)| entry.clone()));
    entries.push(entry(&good[1]));
    let results = results(&server.upload(&signed(&ESTATE.operator, &package(&entries))));
    assert_eq!(results.len(), entries.len());
    for ((code, entry), result) in bad.iter().zip(&results[1..]) {
        assert_eq!(result["ok"], json!(false), "{entry}");
        assert_eq!(result["code"], json!(code), "{result} for {entry}");
        assert_eq!(result["sn"], entry["sn"], "answers name the terminal");
    }
    for (terminal, result) in good.iter().zip([&results[0], &results[results.len() - 1]]) {
        assert_eq!(result["ok"], json!(true), "{result}");
        terminal.download(server.terminals, 0).unwrap();
    }
    assert_eq!(world.count("terminals"), 2);
    world.assert_audit_good();
}

fn with(name: &str, value: Value) -> Value {
    let mut entry = entry(&Raw::new("BAD-1"));
    entry[name] = value;
    entry
}

/// TEK ‖ AUK with their hash.
fn hashed(tek: &[u8], auk: &[u8]) -> Vec<u8> {
    let keys = [tek, auk].concat();
    [&keys[..], &Sha256::digest(&keys)].concat()
}

#[test]
fn transport_keys_that_may_not_be_used_are_refused() {
    let fine = Raw::new("BAD-1");
    let (tek, auk) = (&fine.tek, &fine.auk);
    let weak = |at: usize, part: [u8; 8]| {
        let mut key = tek.clone();
        key[8 * at..8 * at + 8].copy_from_slice(&part);
        key
    };
    let equal_parts = |from: usize, to: usize| {
        let mut key = tek.clone();
        key.copy_within(8 * from..8 * from + 8, 8 * to);
        key
    };
    let turned: Vec<u8> = tek.iter().map(|byte| byte ^ 1).collect();
    let mut wrong_hash = fine.clear();
    wrong_hash[79] ^= 1;
    let mut changed_key = fine.clear();
    changed_key[0] ^= 0x10;
    let clears = [
        wrong_hash,
        changed_key,
        fine.clear()[..79].to_vec(),
        [&fine.clear()[..], &[0]].concat(),
        fine.clear()[..48].to_vec(),
        vec![],
        hashed(tek, tek),
        hashed(tek, &turned),
        hashed(&weak(0, [0x01; 8]), auk),
        hashed(&weak(1, [0xFE; 8]), auk),
        hashed(auk, &weak(2, [0xE0, 0xE0, 0xE0, 0xE0, 0xF1, 0xF1, 0xF1, 0xF1])),
        hashed(auk, &weak(0, [0x01, 0xFE, 0x01, 0xFE, 0x01, 0xFE, 0x01, 0xFE])),
        hashed(&equal_parts(0, 1), auk),
        hashed(&equal_parts(1, 2), auk),
        hashed(auk, &equal_parts(0, 2)),
        hashed(&[0; 24], auk),
    ];
    let bad: Vec<_> = clears
        .iter()
        .enumerate()
        .map(|(number, clear)| ("transport-key-refused", entry_with_clear(&format!("BAD-{number}"), clear)))
        .collect();
    each_is_refused_alone(&bad);
}

#[test]
fn r29_ciphertexts_that_do_not_open_are_refused_alike() {
    let terminal = Raw::new("BAD-1");
    let good = terminal.ciphertext(ESTATE.work.certificate.spki_der());
    let mut changed = good.clone();
    changed[100] ^= 1;
    let foreign = terminal.ciphertext(ESTATE.operator.certificate.spki_der());
    let ciphertexts =
        [changed, foreign, good[..255].to_vec(), [&good[..], &[0]].concat(), vec![0xFF; 256], vec![1]];
    let bad: Vec<_> = ciphertexts
        .iter()
        .enumerate()
        .map(|(at, ciphertext)| {
            ("transport-key-refused", entry_of(&Raw::new(&format!("BAD-{at}")), ciphertext))
        })
        .collect();
    each_is_refused_alone(&bad);

    let world = World::new();
    let server = world.start(&Options::default());
    let entries: Vec<_> = bad.into_iter().map(|(_, entry)| entry).collect();
    let results = results(&server.upload(&signed(&ESTATE.operator, &package(&entries))));
    assert!(results.iter().all(|result| result["text"] == results[0]["text"]), "one text: no oracle");
}

#[test]
fn another_work_certificate_is_refused() {
    each_is_refused_alone(&[
        ("unknown-work-certificate", with("work_certificate_sha256", json!("ab".repeat(32)))),
        (
            "malformed",
            with("work_certificate_sha256", json!(ESTATE.work.certificate.sha256_hex().to_uppercase())),
        ),
        ("malformed", with("work_certificate_sha256", json!("ab"))),
    ]);
}

#[test]
fn fields_that_cannot_be_read_are_refused() {
    let long = Base64::encode_string(&[1; 513]);
    each_is_refused_alone(&[
        ("malformed", with("ctk_pu", json!("not base64!"))),
        ("malformed", with("ctk_pu", json!(""))),
        ("malformed", with("ctk_pu", json!(long))),
        ("malformed", with("sn", json!(""))),
        ("malformed", with("sn", json!("SN 1"))),
        ("malformed", with("sn", json!("A".repeat(33)))),
        ("malformed", with("sn", json!("SN-1'; DROP TABLE terminals; --"))),
        ("malformed", with("pin_pad_sn", json!("BAD-1"))),
        ("malformed", with("pin_pad_sn", json!(""))),
        ("malformed", with("vendor", json!("far too long"))),
        ("malformed", with("model", json!("no spaces"))),
    ]);
}

#[test]
fn a_serial_that_stands_twice_counts_once() {
    let world = World::new();
    let server = world.start(&Options::default());
    let (first, second) = (Raw::new("SN-1"), Raw::new("SN-1"));
    let answer = server.upload(&signed(&ESTATE.operator, &package(&[entry(&first), entry(&second)])));
    let results = results(&answer);
    assert_eq!(results[0]["code"], json!("stored"));
    assert_eq!(results[1]["code"], json!("serial-twice"));
    first.download(server.terminals, 0).unwrap();
    assert_eq!(second.intrude(server.terminals, 0), End::Code(0x0006));
    assert_eq!(world.events("collection.terminal", "SN-1").len(), 2, "the refused one is in the audit too");
}

#[test]
fn a_pin_pad_belongs_to_one_terminal() {
    each_is_refused_alone(&[("pin-pad-taken", entry(&Raw::with_pin_pad("BAD-1", "GOOD-1")))]);
    let world = World::new();
    let server = world.start(&Options::default());
    let pair = [Raw::with_pin_pad("SN-1", "PP-1"), Raw::with_pin_pad("SN-2", "PP-1"), Raw::new("PP-1")];
    let entries: Vec<_> = pair.iter().map(entry).collect();
    let results = results(&server.upload(&signed(&ESTATE.operator, &package(&entries))));
    let codes: Vec<_> = results.iter().map(|result| result["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["stored", "pin-pad-taken", "pin-pad-taken"]);
}

#[test]
fn a_ciphertext_of_one_terminal_under_anothers_serial_shows_in_the_fingerprint() {
    // 2-wire.md's suite 01 cannot refuse it (`wrong-owner`): the people who compare fingerprints can.
    let world = World::new();
    let server = world.start(&Options::default());
    let terminal = Raw::new("SN-A");
    let ciphertext = terminal.ciphertext(ESTATE.work.certificate.spki_der());
    let entries = [entry_of(&terminal, &ciphertext), entry_of(&Raw::new("SN-B"), &ciphertext)];
    let results = results(&server.upload(&signed(&ESTATE.operator, &package(&entries))));
    assert_ne!(results[0]["fingerprint"], results[1]["fingerprint"]);
}

fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
}

#[test]
fn the_same_content_in_another_wrapping_came_before() {
    let world = World::new();
    let server = world.start(&Options::default());
    let content = package(&[entry(&Raw::new("SN-1"))]);
    assert_eq!(server.upload(&signed(&ESTATE.operator, &content)).status, 200);
    // Signed again a second later, the bytes differ and the content does not.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert_refused(&server.upload(&signed(&ESTATE.operator, &content)), 409, "received-before");
}

#[test]
fn fields_by_position_are_no_objects() {
    let world = World::new();
    let server = world.start(&Options::default());
    let whole = json!([1, "station 7", COLLECTED_AT, [entry(&Raw::new("SN-1"))]]);
    assert_refused(&server.upload(&signed(&ESTATE.operator, &whole)), 422, "bad-content");
    let one = package(&[json!(["SN-1", null, "KF", "SIM-1", "AAAA", "00", false])]);
    assert_refused(&server.upload(&signed(&ESTATE.operator, &one)), 422, "bad-content");
}

#[test]
fn vendor_without_model_is_refused_for_its_terminal_only() {
    let world = World::new();
    let server = world.start(&Options::default());
    let mut half = entry(&Raw::new("SN-1"));
    half.as_object_mut().unwrap().remove("model");
    let answer = server.upload(&signed(&ESTATE.operator, &package(&[half, entry(&Raw::new("SN-2"))])));
    let codes: Vec<_> = results(&answer).iter().map(|result| result["code"].clone()).collect();
    assert_eq!(codes, [json!("malformed"), json!("stored")]);
}
