//! What the tests share: vector files and hexadecimal.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "tests stop where a vector file is not what it should be"
)]

use serde_json::Value;

/// Reads a file of `tests/vectors`.
pub(crate) fn vectors(name: &str) -> Value {
    let path = format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).expect("vector files are JSON")
}

/// A text field of a row.
pub(crate) fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_else(|| panic!("{field} is a text in {row}"))
}

/// Bytes from hexadecimal.
pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal"))
        .collect()
}

/// A protection key of the longest length that its version has.
pub(crate) fn kbpk(version: keyblock::Version) -> keyblock::Kbpk {
    let length = if version.cipher_block() == 8 { 24 } else { 32 };
    let key: Vec<u8> = (1..=length).collect();
    keyblock::Kbpk::new(version, &key).expect("a length that every version of the cipher has")
}

/// A header with no optional blocks.
pub(crate) fn header(version: keyblock::Version, algorithm: &str) -> keyblock::Header {
    keyblock::Header::new(
        version,
        keyblock::Usage::DATA_ENCRYPTION,
        keyblock::Algorithm::parse(algorithm).expect("one letter"),
        keyblock::Mode::BOTH,
        keyblock::Exportability::NOT_EXPORTABLE,
    )
}
