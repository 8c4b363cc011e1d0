//! Reading vector files.

use std::path::Path;

use paycrypto::rsa::PrivateKey;
use paycrypto::{SingleDesKey, TdesKey};
use serde_json::Value;

/// A vector file of the repository.
pub(crate) fn vectors(name: &str) -> Value {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors")).join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// A flow of the worked values.
pub(crate) fn flow(name: &str) -> Value {
    vectors("tdes-suite.json")[name].take()
}

/// A file of this crate's own vectors.
pub(crate) fn own(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors")).join(name)).unwrap()
}

/// The worked values' RSA key.
pub(crate) fn test_key() -> PrivateKey {
    PrivateKey::from_pkcs8(&own("rsa_test_key.p8")).unwrap()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd hex: {text}");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A text of a row.
pub(crate) fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_else(|| panic!("no text {name} in {row}"))
}

/// The bytes of a row's hex.
pub(crate) fn bytes(row: &Value, name: &str) -> Vec<u8> {
    unhex(text(row, name))
}

pub(crate) fn array<const N: usize>(row: &Value, name: &str) -> [u8; N] {
    bytes(row, name).try_into().unwrap()
}

pub(crate) fn tdes(row: &Value, name: &str) -> TdesKey {
    TdesKey::from_bytes(&bytes(row, name)).unwrap()
}

pub(crate) fn rows(value: &Value) -> &Vec<Value> {
    let rows = value.as_array().unwrap();
    assert!(!rows.is_empty());
    rows
}

/// A DES or TDES key by its length, to run one assertion over both types.
pub(crate) enum AnyDes {
    Single(SingleDesKey),
    Tdes(TdesKey),
}

impl AnyDes {
    pub(crate) fn new(key: &[u8]) -> Self {
        match key.len() {
            8 => Self::Single(SingleDesKey::from_bytes(key).unwrap()),
            _ => Self::Tdes(TdesKey::from_bytes(key).unwrap()),
        }
    }
}

/// `$call` with `$key` bound to the key inside.
#[macro_export]
macro_rules! with_key {
    ($any:expr, $key:ident => $call:expr) => {
        match $any {
            $crate::support::AnyDes::Single($key) => $call,
            $crate::support::AnyDes::Tdes($key) => $call,
        }
    };
}
