//! What the tests share: asking, and the vector files.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::expect_used, clippy::panic, reason = "a vector file that is something else fails the test")]

use serde_json::Value;

/// Reads a file of the repository's `vectors/external`.
pub(crate) fn vectors(name: &str) -> Value {
    let path = format!("{}/../../vectors/external/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).expect("vector files are JSON")
}

/// Asks, and reads the answer.
pub(crate) fn ask(request: &Value) -> Value {
    serde_json::from_str(&keyferry_calc::answer(&request.to_string())).expect("an answer is JSON")
}

/// The error code of the answer to a line.
pub(crate) fn code(line: &str) -> String {
    let answer: Value = serde_json::from_str(&keyferry_calc::answer(line)).expect("an answer is JSON");
    assert_eq!(answer["ok"], false, "{line}: {answer}");
    assert!(answer["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
    answer["error"]["code"].as_str().expect("a code").to_owned()
}

/// A text field of a row.
pub(crate) fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_else(|| panic!("{field} is a text in {row}"))
}
