//! psec's tables of format 4's clear fields, and its one block with known random bytes.

use serde_json::Value;

use super::*;

fn rows(table: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../../tests/vectors/pinblock_psec.json")).unwrap();
    file["tables"][table]["rows"].as_array().unwrap().clone()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// The random bytes of a block whose key is known.
fn random_of(block: &[u8; 16], pan: &Pan, key: &Format4Key) -> [u8; 8] {
    let mut bytes = *block;
    key.decrypt(&mut bytes);
    add(&mut bytes, &pan.field4());
    key.decrypt(&mut bytes);
    *bytes.last_chunk().unwrap()
}

#[test]
fn pin_fields() {
    let rule = Rule::of(Format::Iso4);
    for row in rows("test_encode_pin_field_iso_4") {
        let pin = Pin::new(row["pin"].as_str().unwrap()).unwrap();
        assert_eq!(hex(&*rule.write(&pin, &[0x5A; 8])), row["pin_field"].as_str().unwrap());
    }
    for row in rows("test_decode_pin_field_iso_4") {
        let field = unhex(row["pin_field"]["hex"].as_str().unwrap());
        let read = rule.read(field.first_chunk().unwrap()).unwrap();
        assert_eq!(read.expose(), row["pin"].as_str().unwrap());
    }
    let refused = rows("test_decode_pinblock_iso_4_exception");
    assert_eq!(refused.len(), 6);
    for row in refused {
        let field = unhex(row["pin_block"]["hex"].as_str().unwrap());
        if field.len() == 16 {
            assert_eq!(rule.read(field.first_chunk().unwrap()).err(), Some(BadBlock), "{row}");
        }
    }
}

#[test]
fn pan_fields() {
    for row in rows("test_encode_pan_field_iso_4") {
        let pan = Pan::new(row["pan"].as_str().unwrap()).unwrap();
        assert_eq!(hex(&pan.field4()), row["pan_field"].as_str().unwrap());
    }
    // ISO 9564-1: a PAN of 12 digits and less has a length of 0 and zeros in front.
    assert_eq!(hex(&Pan::new("1").unwrap().field4()), "00000000000010000000000000000000");
    assert_eq!(hex(&Pan::new("123456789012").unwrap().field4()), "01234567890120000000000000000000");
    assert_eq!(hex(&Pan::new("1234567890123").unwrap().field4()), "11234567890123000000000000000000");
}

/// psec's test fixes the random bytes; found back with the key, they make its block again.
#[test]
fn the_known_block() {
    for row in rows("test_encipher_pinblock_iso_4_det") {
        let key = Format4Key::new(&unhex(row["key"]["hex"].as_str().unwrap())).unwrap();
        let pan = Pan::new(row["pan"].as_str().unwrap()).unwrap();
        let block: [u8; 16] = unhex(row["pin_block"].as_str().unwrap()).try_into().unwrap();
        let opened = decode_format4(&block, &pan, &key).unwrap();
        assert_eq!(opened.expose(), row["pin"].as_str().unwrap());
        let pin = Pin::new(row["pin"].as_str().unwrap()).unwrap();
        let random = random_of(&block, &pan, &key);
        assert_eq!(encode_format4_filled(&pin, &pan, &key, &random), block);
    }
}
