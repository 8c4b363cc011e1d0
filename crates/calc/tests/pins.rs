//! PIN blocks: psec's tables asked as JSON, OpenSSL's TDES over them, and what is refused.

#![allow(clippy::panic, reason = "a vector file that is something else fails the test")]

mod support;

use keyferry_calc::answer;
use serde_json::{Value, json};
use support::{ask, code, text, vectors};

const PAN: &str = "5555555551234567";
/// The key of many manuals.
const KEY: &str = "0123456789ABCDEFFEDCBA9876543210";
/// Format 0 of PIN 1234 and [`PAN`], by psec.
const CLEAR: &str = "041261AAAAEDCBA9";

fn rows(table: &str) -> Vec<Value> {
    let rows = vectors("pinblock_psec.json")["tables"][table]["rows"].take();
    rows.as_array().filter(|rows| !rows.is_empty()).unwrap_or_else(|| panic!("{table}")).clone()
}

#[test]
fn blocks_of_pinblock_psec_json_are_made() {
    for row in rows("test_encode_pinblock_iso_0") {
        let answer = answer(
            &json!({"op": "pinblock.encode", "format": 0, "pin": row["pin"], "pan": row["pan"]}).to_string(),
        );
        assert_eq!(answer, format!(r#"{{"ok":true,"block":"{}"}}"#, text(&row, "pin_block")));
    }
    for row in rows("test_encode_pinblock_iso_3") {
        let made = ask(&json!({"op": "pinblock.encode", "format": 3, "pin": row["pin"], "pan": row["pan"]}));
        let block = text(&made, "block");
        assert!(block.len() == 16 && block.starts_with(text(&row, "pin_block")), "{block}");
    }
}

#[test]
fn blocks_of_pinblock_psec_json_are_opened() {
    for (table, format) in [("test_decode_pinblock_iso_0", 0), ("test_decode_pinblock_iso_3", 3)] {
        for row in rows(table) {
            let block = &row["pin_block"]["hex"];
            let line = json!({"op": "pinblock.decode", "format": format, "block": block, "pan": row["pan"]});
            assert_eq!(answer(&line.to_string()), format!(r#"{{"ok":true,"pin":"{}"}}"#, text(&row, "pin")));
        }
    }
    for row in rows("test_decipher_pinblock_iso_4") {
        let opened = ask(&json!({"op": "pinblock.decode", "format": 4, "block": row["pin_block"]["hex"],
            "pan": row["pan"], "key": row["key"]["hex"]}));
        assert_eq!(opened, json!({"ok": true, "pin": row["pin"]}));
    }
    for row in rows("test_encipher_pinblock_iso_4_det") {
        let opened = ask(&json!({"op": "pinblock.decode", "format": 4, "block": row["pin_block"],
            "pan": row["pan"], "key": row["key"]["hex"]}));
        assert_eq!(opened["pin"], row["pin"]);
    }
}

#[test]
fn negative_rows_of_pinblock_psec_json_are_refused() {
    let mut count = 0;
    for (table, format) in [
        ("test_encode_pinblock_iso_0_exception", 0),
        ("test_encode_pinblock_iso_3_exception", 3),
        ("test_encipher_pinblock_iso_4_exception", 4),
    ] {
        for row in rows(table) {
            let line = json!({"op": "pinblock.encode", "format": format, "pin": row["pin"], "pan": row["pan"],
                "key": row["key"]["hex"]});
            let expected = if text(&row, "error").starts_with("PIN") { "pin-" } else { "pan-" };
            assert!(code(&line.to_string()).starts_with(expected), "{row}");
            count += 1;
        }
    }
    for (table, format) in [
        ("test_decode_pinblock_iso_0_exception", 0),
        ("test_decode_pinblock_iso_3_exception", 3),
        ("test_decipher_pinblock_iso_4_exception", 4),
    ] {
        for row in rows(table) {
            let line = json!({"op": "pinblock.decode", "format": format, "block": row["pin_block"]["hex"],
                "pan": row["pan"], "key": row["key"]["hex"]});
            let error = text(&row, "error");
            let expected = if error.starts_with("PAN") {
                "pan-"
            } else if error.contains("bytes long") || error.contains("multiple") {
                "block-length"
            } else {
                "bad-block"
            };
            assert!(code(&line.to_string()).starts_with(expected), "{row}");
            count += 1;
        }
    }
    assert_eq!(count, 38);
}

/// `openssl enc -des-ede -nopad -K KEY` and `-des-ede3-ecb` over [`CLEAR`].
#[test]
fn a_tdes_key_enciphers_and_deciphers() {
    let key_24 = "0123456789ABCDEF23456789ABCDEF01456789ABCDEF0123";
    for (key, block) in [(KEY, "230B4C43B8BA2C5C"), (key_24, "6C5E73EEFAE61042")] {
        let request = json!({"op": "pinblock.encode", "format": 0, "pin": "1234", "pan": PAN, "key": key});
        assert_eq!(ask(&request), json!({"ok": true, "block": block}));
        let request = json!({"op": "pinblock.decode", "format": 0, "block": block, "pan": PAN, "key": key});
        assert_eq!(ask(&request), json!({"ok": true, "pin": "1234"}));
    }
    let weak = "01".repeat(16);
    let made = ask(&json!({"op": "pinblock.encode", "format": 3, "pin": "1234", "pan": PAN, "key": weak}));
    assert_eq!(made["weak"], true);
    let opened =
        ask(&json!({"op": "pinblock.decode", "format": 3, "block": made["block"], "pan": PAN, "key": weak}));
    assert_eq!(opened, json!({"ok": true, "pin": "1234", "weak": true}));
}

#[test]
fn every_format_goes_there_and_back() {
    for (format, key) in [
        (0, None),
        (1, None),
        (3, None),
        (0, Some(16)),
        (1, Some(24)),
        (3, Some(8)),
        (4, Some(16)),
        (4, Some(24)),
        (4, Some(32)),
    ] {
        let key = key.map(|bytes| {
            "2B7E151628AED2A6ABF7158809CF4F3CFEDCBA9876543210A5C3E1F00F1E3C5A"[..2 * bytes].to_owned()
        });
        for pin in ["0000", "98765", "123456789012"] {
            let made =
                ask(&json!({"op": "pinblock.encode", "format": format, "pin": pin, "pan": PAN, "key": key}));
            let opened = ask(&json!({"op": "pinblock.decode", "format": format, "block": made["block"],
                "pan": PAN, "key": key}));
            assert_eq!(opened["pin"], pin, "{format} {made}");
        }
    }
}

#[test]
fn format_1_has_no_pan() {
    let made = ask(&json!({"op": "pinblock.encode", "format": 1, "pin": "1234"}));
    assert!(text(&made, "block").starts_with("141234"), "{made}");
    let opened = ask(&json!({"op": "pinblock.decode", "format": 1, "block": made["block"]}));
    assert_eq!(opened, json!({"ok": true, "pin": "1234"}));
}

#[test]
fn refusals_have_stable_codes() {
    let encode = |format: Value, pin: &str, pan: Value, key: Value| {
        json!({"op": "pinblock.encode", "format": format, "pin": pin, "pan": pan, "key": key}).to_string()
    };
    let decode = |format: Value, block: &str, pan: Value, key: Value| {
        json!({"op": "pinblock.decode", "format": format, "block": block, "pan": pan, "key": key}).to_string()
    };
    let (pan, none) = (|| json!(PAN), || Value::Null);
    for (line, expected) in [
        (encode(json!(2), "1234", pan(), none()), "format-2"),
        (encode(json!(5), "1234", pan(), none()), "unknown-format"),
        (encode(json!(256), "1234", pan(), none()), "unknown-format"),
        (encode(json!("0"), "1234", pan(), none()), "fields"),
        (encode(json!(-1), "1234", pan(), none()), "fields"),
        (json!({"op": "pinblock.encode", "format": 0, "pan": PAN}).to_string(), "fields"),
        (json!({"op": "pinblock.encode", "format": 0, "pin": 1234, "pan": PAN}).to_string(), "fields"),
        (encode(json!(0), "123", pan(), none()), "pin-digits"),
        (encode(json!(0), "1234", none(), none()), "pan-missing"),
        (encode(json!(3), "1234", json!("555555555555"), none()), "pan-short"),
        (encode(json!(4), "1234", json!("5555 5555"), json!(KEY)), "pan-digits"),
        (encode(json!(4), "1234", none(), json!(KEY)), "pan-missing"),
        (encode(json!(4), "1234", pan(), none()), "format-4-needs-key"),
        (encode(json!(4), "1234", pan(), json!("00")), "key-length"),
        (encode(json!(0), "1234", pan(), json!("00")), "key-length"),
        (encode(json!(0), "1234", pan(), json!("0")), "hex"),
        (decode(json!(2), "241234FFFFFFFFFF", none(), none()), "format-2"),
        (decode(json!(0), "", pan(), none()), "block-length"),
        (decode(json!(0), &"00".repeat(16), pan(), none()), "block-length"),
        (decode(json!(4), CLEAR, pan(), json!(KEY)), "block-length"),
        (decode(json!(4), &"00".repeat(16), pan(), none()), "format-4-needs-key"),
        (decode(json!(0), "0412", none(), none()), "pan-missing"),
        (decode(json!(0), CLEAR, json!("9999999999999999"), none()), "bad-block"),
        (decode(json!(3), CLEAR, pan(), none()), "bad-block"),
        (decode(json!(0), CLEAR, pan(), json!(KEY)), "bad-block"),
        (decode(json!(0), "xx", pan(), none()), "hex"),
    ] {
        assert_eq!(code(&line), expected, "{line}");
    }
}

/// A wrong key, a wrong PAN, a wrong format and damage read alike.
#[test]
fn everything_wrong_inside_a_block_is_one_answer_that_repeats_nothing() {
    let line = |block: &str, pan: &str, format: u8| {
        answer(&json!({"op": "pinblock.decode", "format": format, "block": block, "pan": pan}).to_string())
    };
    let damaged = line("041261AAAAEDCBAA", PAN, 0);
    for other in [line(CLEAR, "9999999999999999", 0), line(CLEAR, PAN, 3), line("001261AAAAEDCBA9", PAN, 0)] {
        assert_eq!(other, damaged);
    }
    assert!(!damaged.contains(PAN) && !damaged.contains("1234") && !damaged.contains("1261"), "{damaged}");
}

#[test]
fn as_text_a_remark_on_the_key_follows() {
    let key = [1; 16];
    let made = keyferry_calc::encode_pin(0, "1234", Some(PAN), Some(&key)).expect("a block");
    let text = made.text();
    let (block, remarks) = text.split_once('\n').expect("two lines");
    assert_eq!(block.len(), 16);
    assert!(remarks.contains("weak"), "{remarks}");
    let clear = keyferry_calc::encode_pin(0, "1234", Some(PAN), None).expect("a block");
    assert_eq!(*clear.text(), CLEAR);
    let opened = keyferry_calc::decode_pin(0, clear.block(), Some(PAN), None).expect("a PIN");
    assert_eq!(*opened.text(), "1234");
    assert_eq!(format!("{clear:?} {opened:?}").matches("1234").count(), 0, "{clear:?} {opened:?}");
}
