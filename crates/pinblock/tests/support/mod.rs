//! What the tests share: the vector file and hexadecimal.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "tests stop where a vector file is not what it should be"
)]

use pinblock::{Pan, Pin};
use serde_json::Value;

/// The rows of one of psec's tables: `tests/vectors/pinblock_psec.json` says where they come from.
pub(crate) fn rows(table: &str, count: usize) -> Vec<Value> {
    let file: Value =
        serde_json::from_str(include_str!("../vectors/pinblock_psec.json")).expect("vector files are JSON");
    let rows = file["tables"][table]["rows"].as_array().unwrap_or_else(|| panic!("{table}")).clone();
    assert_eq!(rows.len(), count, "{table}");
    rows
}

/// A text field of a row.
pub(crate) fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_else(|| panic!("{field} is a text in {row}"))
}

/// A field of bytes of a row.
pub(crate) fn bytes(row: &Value, field: &str) -> Vec<u8> {
    unhex(text(&row[field], "hex"))
}

/// Bytes from hexadecimal.
pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal"))
        .collect()
}

/// Upper-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

pub(crate) fn pin(digits: &str) -> Pin {
    Pin::new(digits).expect("a PIN")
}

pub(crate) fn pan(digits: &str) -> Pan {
    Pan::new(digits).expect("a PAN")
}
