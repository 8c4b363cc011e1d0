//! Every refusal by name: one bad terminal does not spoil the others, and nothing of it is stored.

use keyferry_server::import::{ImportError, LISTED, MAX_LINE};
use serde_json::{Value, json};

use crate::{
    other::{Other, lines, refused},
    support::estate::ESTATE,
};

/// Imports this terminal between two good ones, and gives its refusal: word and text.
fn refusal(other: &Other, terminal: &Value) -> (String, String) {
    refusal_of_line(other, &terminal.to_string())
}

fn refusal_of_line(other: &Other, line: &str) -> (String, String) {
    let (before, after) = (json!({ "sn": "SN-before" }), json!({ "sn": "SN-after" }));
    let report = other.run(&format!("{before}\n{line}\n{after}\n"));
    let counts = report.counts;
    assert_eq!((counts.accepted + counts.already_known, counts.refused), (2, 1), "{:?}", report.refusals);
    assert_eq!(report.refusals[0].line, 2);
    assert_eq!(other.world.count("terminals"), 2, "nothing of it is stored");
    assert_eq!(other.world.count("tmks"), 0);
    (report.refusals[0].reason.to_owned(), report.refusals[0].why.clone())
}

#[test]
fn key_that_does_not_open_or_may_not_move_in_refuses_the_whole_terminal() {
    let other = Other::new();
    let good = other.key();
    for (bad, what) in [
        (other.key_of_a_stranger(), "another zone master key"),
        (other.wrap(&[0x01; 24], "K1"), "equal parts"),
        (other.wrap(&good.clear[..16], "K1"), "16 bytes"),
        (other.wrap(&good.clear, "P0"), "a PIN key"),
    ] {
        let terminal = json!({ "sn": "SN-1", "tmks": [good.tmk(0), bad.tmk(7)] });
        let (word, why) = refusal(&other, &terminal);
        assert_eq!(word, "key-refused", "{what}");
        assert!(why.starts_with("TMK of slot 07: ") && !why.contains(&bad.block[16..]), "{why}");
        let terminal = json!({ "sn": "SN-1", "tmks": [good.tmk(0)], "dmk": bad.json() });
        let (word, why) = refusal(&other, &terminal);
        assert_eq!(word, "key-refused", "{what}");
        assert!(why.starts_with("DMK: "), "{why}");
    }
    let (word, _) = refusal(&other, &json!({ "sn": "SN-1", "tmks": [{ "slot": 0, "block": "" }] }));
    assert_eq!(word, "key-refused");
}

#[test]
fn check_value_that_differs_is_told_with_both() {
    let other = Other::new();
    let (key, another) = (other.key(), other.key());
    let tmk = json!({ "slot": 3, "block": key.block, "kcv": another.kcv() });
    let (word, why) = refusal(&other, &json!({ "sn": "SN-1", "tmks": [tmk] }));
    assert_eq!(word, "check-value");
    let expected =
        format!("TMK of slot 03: the file says check value {}, the key has {}", another.kcv(), key.kcv());
    assert!(why.starts_with(&expected), "{why}");
    let dmk = json!({ "block": key.block, "kcv": another.kcv() });
    assert_eq!(refusal(&other, &json!({ "sn": "SN-1", "dmk": dmk })).0, "check-value");
}

#[test]
fn values_that_cannot_be_are_refused_by_name() {
    let other = Other::new();
    let key = other.key();
    for (terminal, field) in [
        (json!({ "sn": "SN 1" }), "sn"),
        (json!({ "sn": "SN-1", "pin_pad": "SN-1" }), "pin_pad"),
        (json!({ "sn": "SN-1", "pin_pad": "" }), "pin_pad"),
        (json!({ "sn": "SN-1", "vendor": "123456789" }), "vendor"),
        (json!({ "sn": "SN-1", "model": "a b" }), "model"),
        (json!({ "sn": "SN-1", "terminal_id": "" }), "terminal_id"),
        (json!({ "sn": "SN-1", "terminal_id": "a\nb" }), "terminal_id"),
        (json!({ "sn": "SN-1", "merchant_id": "M-1" }), "merchant_id"),
        (json!({ "sn": "SN-1", "tmks": [key.tmk(100)] }), "slot"),
        (json!({ "sn": "SN-1", "tmks": [{ "slot": 1, "block": key.block, "kcv": "12345" }] }), "kcv"),
        (json!({ "sn": "SN-1", "dmk": { "block": key.block, "kcv": "0102030405" } }), "kcv"),
        (json!({ "sn": "SN-1", "dmk": { "block": "B".repeat(10_000) } }), "block"),
    ] {
        let (word, why) = refusal(&other, &terminal);
        assert_eq!(word, "value", "{terminal}");
        assert!(why.starts_with(&format!("{field} is refused: ")), "{why}");
    }
    let twice = json!({ "sn": "SN-1", "tmks": [key.tmk(5), key.tmk(5)] });
    assert_eq!(refusal(&other, &twice), ("slot-twice".into(), "slot 05 is named twice".into()));
}

#[test]
fn line_that_is_no_terminal_is_refused_without_repeating_it() {
    let other = Other::new();
    let block = other.key().block;
    for line in [
        "{".to_owned(),
        "nonsense".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "\u{FEFF}{\"sn\":\"SN-1\"}".to_owned(),
        format!("{{\"sn\":\"SN-1\",\"tmks\":\"{block}\"}}"),
        format!("{{\"sn\":\"SN-1\",\"{block}\":1}}"),
        "{\"sn\":\"SN-1\",\"tmk\":[]}".to_owned(),
        "{\"sn\":\"SN-1\"} {\"sn\":\"SN-2\"}".to_owned(),
    ] {
        let (word, why) = refusal_of_line(&other, &line);
        assert_eq!(word, "form", "{line}");
        assert!(!why.contains(&block), "{why}");
    }
}

#[test]
fn line_that_is_too_long_is_passed_over_to_its_end() {
    let other = Other::new();
    let long = |spaces: usize| format!("{{{}\"sn\":\"SN-1\"}}", " ".repeat(spaces));
    let base = long(0).len();
    assert_eq!(refusal_of_line(&other, &long(MAX_LINE - base + 1)).0, "line-too-long");
    assert_eq!(refusal_of_line(&other, &long(4 * MAX_LINE)).0, "line-too-long");
    let report = other.run(&long(MAX_LINE - base));
    assert_eq!(report.counts.accepted, 1, "the longest is read");
}

#[test]
fn second_line_of_a_serial_is_refused_whatever_became_of_the_first() {
    let other = Other::new();
    let bad = json!({ "sn": "SN-2", "tmks": [other.key_of_a_stranger().tmk(0)] });
    let good = other.terminal("SN-2");
    let report = other.run(&lines(&[other.terminal("SN-1"), other.terminal("SN-1"), bad, good]));
    assert_eq!(
        refused(&report),
        [(2, Some("SN-1"), "duplicate"), (3, Some("SN-2"), "key-refused"), (4, Some("SN-2"), "duplicate")]
    );
    assert_eq!(report.refusals[0].why, "line 1 names this serial already");
    assert_eq!((report.counts.accepted, other.world.count("terminals")), (1, 1));
}

#[test]
fn what_belongs_to_another_terminal_is_refused_by_name() {
    let other = Other::new();
    let report = other.run(&lines(&[
        json!({ "sn": "SN-1", "pin_pad": "PP-1", "terminal_id": "T-1", "tmks": [other.key().tmk(0)] }),
        json!({ "sn": "SN-2", "pin_pad": "PP-1" }),
        json!({ "sn": "SN-3", "terminal_id": "T-1" }),
    ]));
    let expected = [(2, Some("SN-2"), "pin-pad-taken"), (3, Some("SN-3"), "terminal-id-taken")];
    assert_eq!((refused(&report), other.world.count("terminals")), (expected.to_vec(), 1));
}

#[test]
fn report_lists_the_first_refusals_and_counts_the_rest() {
    let other = Other::new();
    let report = other.run(&"x\n".repeat(LISTED + 7));
    assert_eq!((report.refusals.len(), report.refusals_not_listed), (LISTED, 7));
    assert_eq!(report.counts.refused, LISTED as u64 + 7);
}

#[test]
fn wrong_zone_master_key_stops_the_import_at_once() {
    let other = Other::new();
    let file = lines(&[json!({ "sn": "SN-0" }), other.terminal("SN-1")]);
    // A block of the HSM that is none of a zone.
    let under = hsm::KeyBlock::from_text(ESTATE.rks.exchange_block.clone());
    let stopped = other.run_as(file.as_bytes(), [7; 32], &under, &mut |_| ()).unwrap_err();
    assert!(matches!(stopped.error, ImportError::Hsm(_)), "{stopped}");
    assert_eq!((stopped.report.complete, stopped.report.counts.accepted), (false, 0));
    assert_eq!(other.world.count("terminals"), 0);
}
