//! Blocks that others made open to the keys that they say, and blocks made here are as long as theirs.
#![cfg(feature = "crypto")]

mod support;

use keyblock::{Envelope, Error, Exportability, Header, Kbpk, Mode, OptionalBlock, Usage, Version};
use support::{bytes, text, vectors};

#[test]
fn examples_of_the_standards_open() {
    let file = vectors("standards.json");
    let rows = file["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 16);
    for row in rows {
        let (name, block) = (text(row, "name"), text(row, "block"));
        let version = Version::parse(&block[..1]).expect(name);
        let kbpk = Kbpk::new(version, &bytes(text(row, "kbpk"))).expect(name);
        let opened = kbpk.unwrap(block).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(opened.key.as_slice(), bytes(text(row, "key")), "{name}");
        if let Some(expected) = row["optional"].as_array() {
            let found: Vec<_> =
                opened.header.optional.iter().map(|block| (block.id(), block.text())).collect();
            let expected: Vec<_> = expected.iter().map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
            assert_eq!(found.len(), expected.len(), "{name}");
            for (found, expected) in found.iter().zip(expected) {
                assert_eq!((Some(found.0), Some(found.1)), expected, "{name}");
            }
        }
    }
}

/// Version E has no random padding where the caller asks for none, so the standard's block comes out again.
#[test]
fn iso_20038_b2_is_made_byte_for_byte() {
    let file = vectors("standards.json");
    let row =
        file["rows"].as_array().expect("rows").iter().find(|row| text(row, "name") == "ISO 20038:2017 B.2");
    let row = row.expect("the row is there");
    let kbpk = Kbpk::new(Version::E, &bytes(text(row, "kbpk"))).expect("256 bits");
    let (header, _) = Header::parse(text(row, "block")).expect("a header");
    assert_eq!(kbpk.wrap_padded(&header, &bytes(text(row, "key")), 0).expect("wraps"), text(row, "block"));
}

/// X9.143 8.6: an asymmetric key, certificates in an optional block of 1484 characters.
#[test]
fn an_ec_key_with_an_extended_optional_block_is_made_as_long_as_the_standards() {
    let file = vectors("standards.json");
    let rows = file["rows"].as_array().expect("rows");
    let row =
        rows.iter().find(|row| text(row, "name").starts_with("X9.143:2021 8.6")).expect("the row is there");
    let kbpk = Kbpk::new(Version::D, &bytes(text(row, "kbpk"))).expect("256 bits");
    let opened = kbpk.unwrap(text(row, "block")).expect("opens");
    assert_eq!(opened.header.usage, Usage::SIGNATURE);
    assert_eq!(opened.header.mode, Mode::SIGN);
    assert_eq!(opened.header.optional("CT").map(str::len), Some(0x05CC - 10));
    assert_eq!(opened.header.optional("TS"), Some("20200818004100Z"));
    assert_eq!(opened.header.optional("PB"), None);

    let again = kbpk.wrap(&opened.header, &opened.key).expect("wraps");
    let (ours, theirs) =
        (Envelope::parse(&again).expect("ours"), Envelope::parse(text(row, "block")).expect("theirs"));
    assert_eq!(ours.header_text(), theirs.header_text());
    assert_eq!(again.len(), text(row, "block").len());
}

/// docs/spec/2-wire.md section 4: place and context in blocks `10` and `11`, then `PB`.
#[test]
fn blocks_of_the_tdes_suite_open_and_come_out_with_the_same_header() {
    let file = vectors("suite_blocks.json");
    let rows = file["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 5);
    for row in rows {
        let (name, block, key) = (text(row, "name"), text(row, "block"), bytes(text(row, "key")));
        let kbpk = Kbpk::new(Version::B, &bytes(text(row, "kbpk"))).expect(name);
        let opened = kbpk.unwrap(block).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(opened.key.as_slice(), key, "{name}");
        assert_eq!(opened.header.exportability, Exportability::NOT_EXPORTABLE);
        let ids: Vec<_> = opened.header.optional.iter().map(OptionalBlock::id).collect();
        assert_eq!(ids, ["10", "11"], "{name}");
        assert_eq!(opened.header.optional("10"), Some(text(row, "place")), "{name}");
        assert_eq!(opened.header.optional("11"), Some(text(row, "context")), "{name}");

        let again = kbpk.wrap(&opened.header, &key).expect(name);
        assert_eq!(again.len(), block.len(), "{name}");
        let (ours, theirs) = (Envelope::parse(&again).expect(name), Envelope::parse(block).expect(name));
        assert_eq!(ours.header_text(), theirs.header_text(), "{name}: PB included");
    }
}

#[test]
fn a_block_of_one_version_does_not_open_under_a_key_for_another() {
    let file = vectors("suite_blocks.json");
    let row = &file["rows"][0];
    let kbpk = Kbpk::new(Version::D, &bytes(text(row, "kbpk"))).expect("24 bytes");
    let refusal = kbpk.unwrap(text(row, "block")).err();
    assert_eq!(refusal, Some(Error::VersionMismatch { kbpk: Version::D, block: Version::B }));
}
