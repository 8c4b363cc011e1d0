//! The JSON that programs see: field by field, refusal by refusal, line by line.

mod support;

use std::io::{BufReader, Cursor};

use keyferry_calc::{MAX_LINE, answer, run_jsonl};
use serde_json::{Value, json};
use support::{ask, code};

/// TR-31:2018 A.7.3.2.
const KBPK: &str = "1D22BF32387C600AD97F9B97A51311AC";
const BLOCK: &str = "B0104B0TX12S0100KS1800604B120F9292800000BB68BE8680A400D9191AD4ECE45B6E6C0D21C4738A52190E248719E24B433627";

#[test]
fn unwrap_answers_exactly() {
    let expected = concat!(
        r#"{"ok":true,"key":"E8BC63E5479455E26577F715D587FE68","header":{"version":"B","usage":"B0","#,
        r#""algorithm":"T","mode":"X","key_version":"12","exportability":"S"},"#,
        r#""optional":[["KS","00604B120F9292800000"]]}"#
    );
    let request = json!({"op": "keyblock.unwrap", "kbpk": KBPK, "block": BLOCK}).to_string();
    assert_eq!(answer(&request), expected);
    assert_eq!(answer(&request.replace(KBPK, &KBPK.to_lowercase())), expected, "either case is accepted");
}

#[test]
fn parse_answers_without_a_key_and_says_that_nothing_is_proved() {
    let answer = ask(&json!({"op": "keyblock.parse", "block": BLOCK}));
    assert_eq!(answer["authenticated"], false);
    assert_eq!(answer["header"]["usage"], "B0");
    assert_eq!(answer["optional"], json!([["KS", "00604B120F9292800000"]]));
    assert_eq!(answer["encrypted_bytes"], 24);
    assert_eq!(answer["mac"], "248719E24B433627");
    let refused = BLOCK.replacen("B0104", "B0105", 1);
    assert_eq!(code(&json!({"op": "keyblock.parse", "block": refused}).to_string()), "length-mismatch");
}

#[test]
fn wrap_keeps_optional_blocks_in_order_and_hides_pb() {
    let header = json!({"version": "B", "usage": "K1", "algorithm": "T", "mode": "B", "exportability": "N"});
    let optional = json!([["10", "SN-1001/03"], ["11", "4CF30DE6425467948906EFFBEECF8A6A"]]);
    let key = "BA7BA3E091F26B585867D8A2A58214096B4F5E7375646854";
    let wrapped = ask(
        &json!({"op": "keyblock.wrap", "kbpk": KBPK, "key": key, "header": header, "optional": optional}),
    );
    let block = wrapped["block"].as_str().expect("a block");
    assert!(
        block.starts_with("B0152K1TB00N0300100ESN-1001/0311244CF30DE6425467948906EFFBEECF8A6APB0600"),
        "{block}"
    );
    let opened = ask(&json!({"op": "keyblock.unwrap", "kbpk": KBPK, "block": block}));
    assert_eq!(opened["optional"], optional);
    assert_eq!(opened["key"], key);
    assert_eq!(opened["header"]["key_version"], "00", "the default");
    assert_eq!(opened["header"].get("key_context"), None);
    assert_eq!(opened.get("weak"), None);
}

#[test]
fn every_version_and_key_length_round_trips() {
    for (version, kbpks) in [
        ("A", &[8, 16, 24][..]),
        ("B", &[16, 24]),
        ("C", &[8, 16, 24]),
        ("D", &[16, 24, 32]),
        ("E", &[16, 24, 32]),
    ] {
        for kbpk in kbpks {
            for key in [8, 16, 24, 32, 1200] {
                let (kbpk, key) = ("5B".repeat(*kbpk), "C7".repeat(key));
                let header = json!({"version": version, "usage": "D0", "algorithm": "A", "mode": "B",
                    "key_version": "c1", "exportability": "E", "key_context": "2"});
                let wrapped =
                    ask(&json!({"op": "keyblock.wrap", "kbpk": kbpk, "key": key, "header": header}));
                let opened = ask(&json!({"op": "keyblock.unwrap", "kbpk": kbpk, "block": wrapped["block"]}));
                assert_eq!(opened["key"], key);
                assert_eq!(opened["header"], header);
                assert_eq!(opened["optional"], json!([]));
            }
        }
    }
}

#[test]
fn padded_length_makes_blocks_of_that_length() {
    let request = |padded: Value| {
        json!({"op": "keyblock.wrap", "kbpk": KBPK, "key": "11".repeat(16), "padded_length": padded,
            "header": {"version": "B", "usage": "D0", "algorithm": "T", "mode": "B", "exportability": "N"}})
    };
    let length = |padded: Value| ask(&request(padded))["block"].as_str().map(str::len);
    assert_eq!(length(json!(0)), Some(80));
    assert_eq!(length(json!(24)), Some(96));
    assert_eq!(length(Value::Null), Some(96));
    assert_eq!(code(&request(json!(5000)).to_string()), "block-too-long");
}

#[test]
fn weak_keys_are_told_and_never_refused() {
    let odd = "0123456789ABCDEF";
    let weak = [
        "0101010101010101".to_owned(),
        "00".repeat(16),
        format!("{odd}01FE01FE01FE01FE"),
        odd.repeat(2),
        format!("{odd}FEDCBA9876543210{odd}"),
        // Equal but for parity bits.
        format!("{odd}0022446688AACCEE"),
    ];
    let header = json!({"version": "D", "usage": "D0", "algorithm": "T", "mode": "B", "exportability": "N"});
    let kbpk = "77".repeat(16);
    for key in weak {
        let wrapped = ask(&json!({"op": "keyblock.wrap", "kbpk": kbpk, "key": key, "header": header}));
        let opened = ask(&json!({"op": "keyblock.unwrap", "kbpk": kbpk, "block": wrapped["block"]}));
        let kcv = ask(&json!({"op": "kcv", "algorithm": "tdes", "key": key}));
        let mac = ask(&json!({"op": "mac", "algorithm": "x9.9", "key": key, "data": "00"}));
        let parity = ask(&json!({"op": "parity", "key": key}));
        for answer in [wrapped, opened, kcv, mac, parity] {
            assert_eq!((&answer["ok"], &answer["weak"]), (&json!(true), &json!(true)), "{key}: {answer}");
        }
    }
    let good = ask(&json!({"op": "kcv", "algorithm": "tdes", "key": "0123456789ABCDEFFEDCBA9876543210"}));
    assert_eq!(good, json!({"ok": true, "kcv": "08D7B4"}));
    let aes = ask(&json!({"op": "kcv", "algorithm": "aes", "key": "00".repeat(16)}));
    assert_eq!(aes.get("weak"), None, "AES has no weak keys");
}

#[test]
fn keys_of_8_16_and_24_bytes_have_check_values_and_macs() {
    for length in [8, 16, 24] {
        let key = "1A2B3C4D5E6F7081".repeat(3)[..2 * length].to_owned();
        assert_eq!(ask(&json!({"op": "kcv", "algorithm": "tdes", "key": key}))["ok"], true);
        for (algorithm, size) in [("x9.9", 8), ("iso9797-1-alg1", 16), ("cmac-tdes", 16)] {
            let answer =
                ask(&json!({"op": "mac", "algorithm": algorithm, "padding": 1, "key": key, "data": ""}));
            assert_eq!(answer["mac"].as_str().map(str::len), Some(size), "{algorithm}");
        }
    }
}

#[test]
fn the_default_padding_is_1() {
    for algorithm in ["x9.9", "iso9797-1-alg1", "iso9797-1-alg3"] {
        let mut request =
            json!({"op": "mac", "algorithm": algorithm, "key": KBPK, "data": "0102030405060708"});
        let default = ask(&request);
        request["padding"] = json!(1);
        assert_eq!(ask(&request), default);
    }
}

#[test]
fn parity_tells_and_corrects() {
    let answer = ask(&json!({"op": "parity", "key": "0022446688AACCEE"}));
    assert_eq!(answer["odd_parity"], false);
    assert_eq!(answer["with_odd_parity"], "0123456789ABCDEF");
    assert_eq!(answer.get("weak"), None);
    assert_eq!(ask(&json!({"op": "parity", "key": "0123456789ABCDEF"}))["odd_parity"], true);
}

#[test]
fn components_are_combined_by_xor_with_check_values() {
    let components = ["0123456789ABCDEFFEDCBA9876543210", "ffffffffffffffffffffffffffffffff"];
    let answer = ask(&json!({"op": "components", "components": components}));
    assert_eq!(answer["key"], "FEDCBA98765432100123456789ABCDEF");
    assert_eq!(answer["components"][0], json!({"kcv": "08D7B4", "odd_parity": true}));
    assert_eq!(answer["components"][1]["weak"], true);
    assert_eq!(answer["kcv"], ask(&json!({"op": "kcv", "algorithm": "tdes", "key": answer["key"]}))["kcv"]);
    let aes = ask(&json!({"op": "components", "algorithm": "aes", "components": components}));
    assert_eq!(aes["kcv"].as_str().map(str::len), Some(10));
    assert_eq!(aes["components"][0].get("odd_parity"), None);
}

#[test]
fn refusals_have_stable_codes() {
    let key16 = "11".repeat(16);
    let wrap = |header: Value, optional: Value| {
        json!({"op": "keyblock.wrap", "kbpk": key16, "key": key16, "header": header, "optional": optional})
            .to_string()
    };
    let header =
        || json!({"version": "B", "usage": "D0", "algorithm": "T", "mode": "B", "exportability": "N"});
    let with = |field: &str, value: &str| {
        let mut header = header();
        header[field] = json!(value);
        wrap(header, json!([]))
    };
    let cases = [
        (String::new(), "not-json"),
        ("kcv".to_owned(), "not-json"),
        (r#"{"op":"kcv""#.to_owned(), "not-json"),
        ("[".repeat(5000), "not-json"),
        (r#"{"op":"kcv"} {}"#.to_owned(), "not-json"),
        ("[]".to_owned(), "no-op"),
        ("{}".to_owned(), "no-op"),
        (r#"{"op":7}"#.to_owned(), "no-op"),
        (r#"{"op":7"#.to_owned(), "not-json"),
        (r#"["kcv","tdes","0123456789ABCDEF"]"#.to_owned(), "no-op"),
        (wrap(json!(["B", "D0", "T", "B", "00", "N", "0"]), json!([])), "fields"),
        (r#"{"op":"keyblock.guess"}"#.to_owned(), "unknown-op"),
        (r#"{"op":"kcv","algorithm":"tdes"}"#.to_owned(), "fields"),
        (r#"{"op":"kcv","algorithm":"tdes","key":1}"#.to_owned(), "fields"),
        (r#"{"op":"kcv","algorithm":"tdes","key":"00","key":"00"}"#.to_owned(), "fields"),
        (r#"{"op":"kcv","algorithm":"tdes","key":"0"}"#.to_owned(), "hex"),
        (r#"{"op":"kcv","algorithm":"tdes","key":"0G"}"#.to_owned(), "hex"),
        (r#"{"op":"kcv","algorithm":"tdes","key":"00"}"#.to_owned(), "key-length"),
        (r#"{"op":"kcv","algorithm":"TDES","key":"00"}"#.to_owned(), "unknown-algorithm"),
        (json!({"op": "kcv", "algorithm": "aes", "key": "0011223344556677"}).to_string(), "key-length"),
        (
            json!({"op": "mac", "algorithm": "x9.9", "padding": 2, "key": key16, "data": ""}).to_string(),
            "padding",
        ),
        (
            json!({"op": "mac", "algorithm": "iso9797-1-alg1", "padding": 4, "key": key16, "data": ""})
                .to_string(),
            "padding",
        ),
        (json!({"op": "mac", "algorithm": "md5", "key": key16, "data": ""}).to_string(), "unknown-algorithm"),
        (
            json!({"op": "mac", "algorithm": "iso9797-1-alg3", "key": "0123456789ABCDEF", "data": ""})
                .to_string(),
            "key-length",
        ),
        (json!({"op": "parity", "key": "00112233"}).to_string(), "key-length"),
        (json!({"op": "components", "components": [key16]}).to_string(), "too-few-components"),
        (json!({"op": "components", "components": []}).to_string(), "too-few-components"),
        (json!({"op": "components", "components": [key16, "00"]}).to_string(), "component-length"),
        (
            json!({"op": "keyblock.unwrap", "kbpk": "22".repeat(16), "block": BLOCK}).to_string(),
            "not-authentic",
        ),
        (json!({"op": "keyblock.unwrap", "kbpk": "22", "block": BLOCK}).to_string(), "kbpk-length"),
        (
            json!({"op": "keyblock.unwrap", "kbpk": KBPK, "block": &BLOCK[..100]}).to_string(),
            "length-mismatch",
        ),
        (with("version", "F"), "unknown-version"),
        (with("usage", "d0"), "usage"),
        (with("algorithm", ""), "algorithm"),
        (with("mode", "BB"), "mode"),
        (with("key_version", "0"), "key-version"),
        (with("exportability", "-"), "exportability"),
        (with("key_context", "3"), "key-context"),
        (wrap(header(), json!([["PB", "00"]])), "padding-block-given"),
        (wrap(header(), json!([["1", "00"]])), "optional-block-id"),
        (wrap(header(), json!([["10", "ä"]])), "optional-block-text"),
        (wrap(header(), json!([["10", "a"], ["10", "b"]])), "optional-block-repeated"),
        (wrap(header(), json!([["10"]])), "fields"),
        (wrap(header(), json!([["10", "x".repeat(9999)]])), "block-too-long"),
    ];
    for (line, expected) in cases {
        assert_eq!(code(&line), expected, "{line:.200}");
    }
}

/// What serde says of a wrong type quotes the value, which may be a key in the wrong place.
#[test]
fn refusals_quote_nothing_of_the_request() {
    let canary = "C0FFEE00C0FFEE00";
    for line in [
        json!({"op": "kcv", "algorithm": canary, "key": canary}),
        json!({"op": canary}),
        json!({"op": "kcv", "algorithm": "tdes", "key": [canary]}),
        json!({"op": "mac", "algorithm": "x9.9", "padding": canary, "key": canary, "data": ""}),
        json!({"op": "keyblock.unwrap", "kbpk": format!("{canary}00"), "block": canary}),
        json!({"op": "components", "components": [canary, format!("{canary}0G")]}),
    ] {
        let answer = answer(&line.to_string());
        assert!(answer.starts_with(r#"{"ok":false,"#), "{answer}");
        assert!(!answer.contains("C0FFEE"), "{answer}");
    }
}

#[test]
fn a_stream_is_answered_line_by_line_in_order_whatever_is_in_it() {
    let kcv = r#"{"op":"kcv","algorithm":"tdes","key":"0123456789ABCDEFFEDCBA9876543210"}"#;
    let mut input = Vec::new();
    for line in [kcv.as_bytes(), b"no JSON", b"\xFF\xFE", b"", kcv.as_bytes(), b"{}\r"] {
        input.extend_from_slice(line);
        input.push(b'\n');
    }
    input.extend_from_slice(kcv.as_bytes()); // no line break at the end
    // A small buffer, so that lines come in pieces.
    let mut output = Vec::new();
    run_jsonl(BufReader::with_capacity(7, Cursor::new(input)), &mut output).expect("memory does not fail");
    let output = String::from_utf8(output).expect("text");
    let codes: Vec<String> = output
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|answer| answer["error"]["code"].as_str().unwrap_or("ok").to_owned())
        .collect();
    assert_eq!(codes, ["ok", "not-json", "not-json", "not-json", "ok", "no-op", "ok"]);
    assert!(output.ends_with('\n'));
}

#[test]
fn an_empty_stream_has_no_answers() {
    let mut output = Vec::new();
    run_jsonl(Cursor::new(b""), &mut output).expect("memory does not fail");
    assert!(output.is_empty());
}

#[test]
fn a_line_may_have_a_mebibyte_and_not_a_byte_more() {
    let request = r#"{"op":"kcv","algorithm":"tdes","key":"0123456789ABCDEFFEDCBA9876543210"}"#;
    for (extra, expected) in [(0, "ok"), (1, "line-too-long")] {
        let padding = " ".repeat(MAX_LINE - request.len() + extra);
        let input = format!("{request}{padding}\n{request}\n");
        let mut output = Vec::new();
        run_jsonl(BufReader::new(Cursor::new(input)), &mut output).expect("memory does not fail");
        let text = String::from_utf8(output).expect("text");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["error"]["code"].as_str().unwrap_or("ok"), expected);
        assert_eq!(lines[1]["kcv"], "08D7B4", "the stream goes on");
    }
}

mod properties {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_has_one_line_of_answer(line in any::<String>()) {
            let answer = keyferry_calc::answer(&line);
            prop_assert!(!answer.contains('\n'));
            prop_assert!(serde_json::from_str::<serde_json::Value>(&answer).is_ok());
        }

        #[test]
        fn any_block_has_an_answer(block in "[A-E][0-9]{4}[ -~]{0,150}") {
            let request = serde_json::json!({"op": "keyblock.unwrap", "kbpk": "11".repeat(16), "block": block});
            let answer = keyferry_calc::answer(&request.to_string());
            let refused = answer.starts_with(r#"{"ok":false"#);
            prop_assert!(refused);
        }
    }
}
