//! The test tables of psec (MIT), negative rows too: each refusal of theirs is one of ours, by name.
#![cfg(feature = "crypto")]
#![allow(clippy::expect_used, clippy::panic, reason = "a row that says something else fails the test")]

mod support;

use keyblock::{Algorithm, Error, Exportability, Header, Kbpk, KeyVersion, Mode, Usage, Version};
use serde_json::Value;
use support::{bytes, text, vectors};

fn rows(table: &str, count: usize) -> Vec<Value> {
    let file = vectors("tr31_psec.json");
    let rows = file["tables"][table]["rows"].as_array().expect("rows").clone();
    assert_eq!(rows.len(), count, "{table}");
    rows
}

/// The name of our error that says what psec's text says. `text` is psec's own.
fn expected(text: &str) -> &'static str {
    let has = |part: &str| text.contains(part);
    if text.starts_with("Block ID") {
        "OptionalBlockId"
    } else if has("length of length must not be 0") {
        "OptionalBlockLengthOfLengthZero"
    } else if has("length of length") {
        "OptionalBlockLengthOfLength"
    } else if has("length does not include block ID") {
        "OptionalBlockLengthTooSmall"
    } else if text.starts_with("Block") && has("data is malformed") {
        "OptionalBlockTruncated"
    } else if text.starts_with("Block") && has("data is invalid") {
        "OptionalBlockText"
    } else if text.starts_with("Block") && has("length") {
        "OptionalBlockLength"
    } else if text.starts_with("Header length (") {
        "HeaderTruncated"
    } else if has("Header must be ASCII") || has("Version ID") {
        "UnknownVersion"
    } else if has("Number of blocks") {
        "OptionalBlockCount"
    } else if has("Key usage") {
        "Usage"
    } else if has("Algorithm") {
        "Algorithm"
    } else if has("Mode of use") {
        "Mode"
    } else if has("Version number") {
        "KeyVersion"
    } else if has("Exportability") {
        "Exportability"
    } else if has("doesn't match input data length") {
        "LengthMismatch"
    } else if text.starts_with("Key block header length") {
        "LengthDigits"
    } else if has("must be multiple of") {
        "Alignment"
    } else if has("MAC must be valid hex") {
        "MacHex"
    } else if has("MAC is malformed") {
        "MacTruncated"
    } else if has("Encrypted key must be valid hex") {
        "CiphertextHex"
    } else if has("Encrypted key is malformed") {
        "CiphertextLength"
    } else if has("MAC doesn't match") || has("Decrypted key") {
        // After decryption there is one answer only.
        "NotAuthentic"
    } else if has("KBPK length") {
        "KbpkLength"
    } else {
        panic!("no error of ours for: {text}")
    }
}

fn name(error: Error) -> String {
    let debug = format!("{error:?}");
    debug.split([' ', '(']).next().unwrap_or_default().to_owned()
}

fn refused<T>(result: &Result<T, Error>, row: &Value) {
    let Err(error) = result else { panic!("accepted: {row}") };
    assert_eq!(name(*error), expected(text(row, "error")), "{row}");
}

#[test]
fn headers_with_bad_optional_blocks_are_refused() {
    for row in rows("test_header_block_load_exceptions", 35) {
        refused(&Header::parse(text(&row, "header")), &row);
    }
}

#[test]
fn bad_headers_are_refused() {
    for row in rows("test_header_load_exceptions", 4) {
        refused(&Header::parse(text(&row, "header")), &row);
    }
}

#[test]
fn bad_header_fields_are_refused() {
    for row in rows("test_header_attributes_exceptions", 18) {
        let header = || -> Result<Header, Error> {
            let mut header = Header::new(
                Version::parse(text(&row, "version_id"))?,
                Usage::parse(text(&row, "key_usage"))?,
                Algorithm::parse(text(&row, "algorithm"))?,
                Mode::parse(text(&row, "mode_of_use"))?,
                Exportability::parse(text(&row, "exportability"))?,
            );
            header.key_version = KeyVersion::parse(text(&row, "version_num"))?;
            Ok(header)
        };
        refused(&header(), &row);
    }
}

#[test]
fn known_blocks_open() {
    for row in rows("test_kb_known_values", 18) {
        let block = text(&row, "kb");
        let version = Version::parse(&block[..1]).expect("a version");
        let kbpk = Kbpk::new(version, &bytes(text(&row, "kbpk"))).expect("a protection key");
        let opened = kbpk.unwrap(block).unwrap_or_else(|error| panic!("{error} for {row}"));
        assert_eq!(opened.key.as_slice(), bytes(text(&row, "key")), "{row}");
    }
}

#[test]
fn masked_blocks_have_the_lengths_of_psec() {
    for row in rows("test_kb_masking_key_length", 63) {
        let length = |field: &str| usize::try_from(row[field].as_i64().expect("a number")).unwrap_or(0);
        let version = Version::parse(text(&row, "version_id")).expect("a version");
        let kbpk = Kbpk::new(version, &[b'E'; 24]).expect("a protection key");
        let header = support::header(version, text(&row, "algorithm"));
        let key = vec![0xAB; length("key_len")];
        let block = if row["masked_key_len"].is_null() {
            kbpk.wrap_legacy(&header, &key)
        } else {
            kbpk.wrap_legacy_padded(&header, &key, length("masked_key_len"))
        }
        .unwrap_or_else(|error| panic!("{error} for {row}"));
        assert_eq!(block.len(), length("kb_len"), "{row}");
        assert_eq!(kbpk.unwrap(&block).expect("opens").key.as_slice(), key, "{row}");
    }
}

#[test]
fn protection_keys_of_wrong_lengths_are_refused() {
    for row in rows("test_kb_wrap_exceptions", 4) {
        let version = Version::parse(text(&row, "version_id")).expect("a version");
        let length = usize::try_from(row["kbpk_len"].as_u64().expect("a number")).expect("small");
        refused(&Kbpk::new(version, &vec![b'E'; length]), &row);
    }
}

#[test]
fn bad_blocks_are_refused() {
    for row in rows("test_kb_unwrap_exceptions", 38) {
        let block = text(&row, "kb");
        let length = usize::try_from(row["kbpk_len"].as_u64().expect("a number")).expect("small");
        let version = Version::parse(&block[..1]).expect("a version");
        refused(&Kbpk::new(version, &vec![b'E'; length]).and_then(|kbpk| kbpk.unwrap(block)), &row);
    }
}
