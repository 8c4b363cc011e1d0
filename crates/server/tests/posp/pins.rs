//! PIN translation: what comes out is the same PIN for the same PAN under the zone's key, and nothing else comes out.

use paycrypto::TdesKey;
use pinblock::{Format, Format4Key, Pan, Pin};
use serde_json::json;

use crate::{
    setting::{PAN, SLOT, Setting, signed_in},
    support::{
        posp::{aes_zone, bytes_of, item},
        raw::Raw,
    },
};

const PATH: &str = "/v1/pin/translate";
const ZONE: &str = "issuer-1";

fn opens_to(key: &[u8], format: Format, block: &[u8], pin: &str) -> bool {
    let clear = TdesKey::from_bytes(key).unwrap().decrypt_block(block.try_into().unwrap());
    let opened = pinblock::decode(format, &clear, Some(&Pan::new(PAN).unwrap())).unwrap();
    opened.matches(&Pin::new(pin).unwrap())
}

#[test]
fn a_pin_opens_at_the_issuers_side_only() {
    let mut setting = Setting::new();
    for (from, to) in [(Format::Iso0, 0), (Format::Iso0, 3), (Format::Iso3, 3)] {
        let number = if from == Format::Iso0 { 0 } else { 3 };
        for pin in ["1234", "123456789012"] {
            let block = setting.working.pin_block(from, pin, PAN);
            let answer = setting.posp.post(PATH, &item("SN-1", SLOT, PAN, (number, to), &block, ZONE));
            assert_eq!(answer.status, 200, "{from:?} to {to}: {answer:?}");
            assert_eq!(answer.json.as_object().unwrap().len(), 1, "nothing else comes out");
            let translated = bytes_of(&answer.json["pin_block"]);
            let format = if to == 0 { Format::Iso0 } else { Format::Iso3 };
            assert!(opens_to(&setting.zone.key, format, &translated, pin));
        }
    }
}

#[test]
fn an_aes_zone_takes_format_4_and_a_tdes_zone_does_not() {
    let mut setting = Setting::new();
    let key = aes_zone(&setting.server, "issuer-aes");
    let block = setting.working.pin_block(Format::Iso3, "4321", PAN);
    let answer = setting.posp.post(PATH, &item("SN-1", SLOT, PAN, (3, 4), &block, "issuer-aes"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let translated: [u8; 16] = bytes_of(&answer.json["pin_block"]).try_into().unwrap();
    let key = Format4Key::new(&key).unwrap();
    let opened = pinblock::decode_format4(&translated, &Pan::new(PAN).unwrap(), &key).unwrap();
    assert!(opened.matches(&Pin::new("4321").unwrap()));
    for (to, zone) in [(4, ZONE), (0, "issuer-aes"), (3, "issuer-aes")] {
        let answer = setting.posp.post(PATH, &item("SN-1", SLOT, PAN, (3, to), &block, zone));
        assert_eq!((answer.status, answer.code()), (422, "format-not-allowed"), "{to} in {zone}");
    }
}

/// Stricter than ISO 9564-1: nothing becomes format 1; formats 2 and 4 do not come from a terminal of suite 01.
#[test]
fn r27_pairs_of_formats_outside_the_table_are_refused() {
    let mut setting = Setting::new();
    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    for pair in [(0, 1), (3, 1), (0, 2), (2, 0), (4, 0), (4, 4), (1, 1), (0, 5), (9, 0)] {
        let answer = setting.posp.post(PATH, &item("SN-1", SLOT, PAN, pair, &block, ZONE));
        assert_eq!((answer.status, answer.code()), (422, "format-not-allowed"), "{pair:?}");
    }
}

/// One code, one text, whatever is wrong in the block: no oracle for padding, length, digits or PAN.
#[test]
fn r29_whatever_is_wrong_in_a_pin_block_is_one_answer() {
    let mut setting = Setting::new();
    let good = setting.working.pin_block(Format::Iso0, "1234", PAN);
    let pik = TdesKey::from_bytes(&setting.working.pik).unwrap();
    let clear = |block: [u8; 8]| pik.encrypt_block(block).to_vec();
    let mut flipped = good;
    flipped[0] ^= 1;
    let pan_part = [0x00, 0x00, 0x12, 0x34, 0x56, 0x78, 0x90, 0x00];
    let xor = |block: [u8; 8]| std::array::from_fn(|at| block[at] ^ if at < 2 { 0 } else { pan_part[at] });
    let blocks = [
        flipped.to_vec(),
        setting.working.pin_block(Format::Iso3, "1234", PAN).to_vec(),
        setting.working.pin_block(Format::Iso0, "1234", "4111111111111111").to_vec(),
        clear(xor([0x03, 0x12, 0x3F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])),
        clear(xor([0x04, 0x12, 0xA4, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])),
        clear(xor([0x04, 0x12, 0x34, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF])),
        clear([0xFF; 8]),
        vec![0; 8],
        good[..7].to_vec(),
        [&good[..], &[0]].concat(),
        Vec::new(),
    ];
    let mut answers = Vec::new();
    for block in &blocks {
        let answer = setting.posp.post(PATH, &item("SN-1", SLOT, PAN, (0, 0), block, ZONE));
        assert_eq!((answer.status, answer.code()), (422, "pin-block"), "{block:02X?}");
        answers.push(answer.body);
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
    let answer = setting.posp.post(PATH, &item("SN-1", SLOT, PAN, (0, 0), &good, ZONE));
    assert_eq!(answer.status, 200, "what just holds is not refused");
    // Counted for the audit, without PAN or block.
    drop(setting.posp);
    setting.server.stop();
    let refused = setting.world.events("posp.refused", "SN-1");
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].detail["reason"], "pin-block");
}

#[test]
fn the_pan_must_be_one() {
    let mut setting = Setting::new();
    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    for pan in ["", "401234567890", "40123456789O9", "40123456789091234567", "4012 345678909"] {
        let answer = setting.posp.post(PATH, &item("SN-1", SLOT, pan, (0, 0), &block, ZONE));
        assert_eq!((answer.status, answer.code()), (422, "pan"), "{pan:?}");
        assert!(pan.is_empty() || !answer.body.contains(pan), "{}", answer.body);
    }
}

#[test]
fn a_terminal_has_its_own_key_in_its_own_slot() {
    let mut setting = Setting::new();
    let other = Raw::with_pin_pad("SN-2", "PP-2");
    setting.server.collect(&[&other]);
    let working = signed_in(&setting.server, &other);
    let block = working.pin_block(Format::Iso0, "1234", PAN);
    let mut ask = |sn: &str, slot| setting.posp.post(PATH, &item(sn, slot, PAN, (0, 0), &block, ZONE));
    assert_eq!(ask("SN-2", SLOT).status, 200);
    assert_eq!(ask("SN-1", SLOT).code(), "pin-block", "under another terminal's key");
    for (sn, slot) in [("SN-2", 2), ("SN-9", SLOT)] {
        let answer = ask(sn, slot);
        assert_eq!((answer.status, answer.code()), (409, "no-working-key"), "{sn} {slot}");
    }
    assert_eq!(ask("SN-2", 100).code(), "malformed");
    assert_eq!(ask("", SLOT).code(), "malformed");
}

#[test]
fn an_unknown_zone_is_told() {
    let mut setting = Setting::new();
    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    for zone in ["issuer-2", "", "issuer-1/../x"] {
        let answer = setting.posp.post(PATH, &item("SN-1", SLOT, PAN, (0, 0), &block, zone));
        assert_eq!((answer.status, answer.code()), (422, "unknown-zone"), "{zone:?}");
    }
}

/// Blocks swapped by hand in the database are refused by the HSM, and the POSP learns no more than that it failed.
#[test]
fn r4_a_zone_key_or_pik_of_another_place_is_not_used() {
    let mut setting = Setting::new();
    let other = Raw::new("SN-2");
    setting.server.collect(&[&other]);
    signed_in(&setting.server, &other);
    aes_zone(&setting.server, "issuer-aes");
    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    let request = item("SN-1", SLOT, PAN, (0, 0), &block, ZONE);
    let sql = setting.world.sql();
    sql.execute_batch("DROP TRIGGER working_keys_keep_their_place").unwrap();
    for (swap, back) in [
        (
            "CREATE TABLE old AS SELECT block FROM working_keys WHERE sn = 'SN-1' AND kind = 'pik';
             UPDATE working_keys SET block = (SELECT block FROM working_keys WHERE sn = 'SN-2' AND kind = 'pik')
             WHERE sn = 'SN-1' AND kind = 'pik'",
            "UPDATE working_keys SET block = (SELECT block FROM old) WHERE sn = 'SN-1' AND kind = 'pik';
             DROP TABLE old",
        ),
        (
            "CREATE TABLE old AS SELECT block FROM zone_keys WHERE zone = 'issuer-1';
             UPDATE zone_keys SET block = (SELECT block FROM zone_keys WHERE zone = 'issuer-aes')
             WHERE zone = 'issuer-1'",
            "UPDATE zone_keys SET block = (SELECT block FROM old) WHERE zone = 'issuer-1'; DROP TABLE old",
        ),
    ] {
        sql.execute_batch(swap).unwrap();
        let answer = setting.posp.post(PATH, &request);
        assert_eq!((answer.status, answer.code()), (500, "internal"), "{swap}");
        sql.execute_batch(back).unwrap();
        assert_eq!(setting.posp.post(PATH, &request).status, 200);
    }
}

#[test]
fn a_pik_and_a_mak_are_not_interchangeable() {
    let mut setting = Setting::new();
    let swap = "DROP TRIGGER working_keys_keep_their_place;
                UPDATE working_keys SET block = (SELECT block FROM working_keys WHERE kind = 'mak')
                WHERE kind = 'pik'";
    setting.world.sql().execute_batch(swap).unwrap();
    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    let answer = setting.posp.post(PATH, &item("SN-1", SLOT, PAN, (0, 0), &block, ZONE));
    assert_eq!((answer.status, answer.code()), (500, "internal"));
}

#[test]
fn a_body_that_is_not_the_routes_is_malformed_and_not_repeated() {
    let mut setting = Setting::new();
    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    let good = item("SN-1", SLOT, PAN, (0, 0), &block, ZONE);
    let without = |name: &str| {
        let mut item = good.clone();
        item.as_object_mut().unwrap().remove(name);
        item
    };
    let with = |name: &str, value: serde_json::Value| {
        let mut item = good.clone();
        item[name] = value;
        item
    };
    for body in [
        without("pan"),
        without("slot"),
        without("sn"),
        with("terminal_id", json!("T-1")),
        with("more", json!(1)),
        with("slot", json!(256)),
        with("slot", json!(PAN)),
        with("pan", json!(4_012_345_678_909_u64)),
        json!([]),
        json!("4012345678909"),
    ] {
        let answer = setting.posp.post(PATH, &body);
        assert_eq!((answer.status, answer.code()), (400, "malformed"), "{body}");
        assert!(!answer.body.contains(PAN), "{}", answer.body);
    }
}
