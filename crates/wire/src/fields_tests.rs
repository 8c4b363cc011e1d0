//! Every defect that fields can have, at its limit and one past it.

use std::{vec, vec::Vec};

use super::*;

/// A field with this length in bytes and as many bytes of value.
fn field(tag: u16, length: &[u8], value: usize) -> Vec<u8> {
    [&tag.to_be_bytes(), length, &vec![0xAA; value]].concat()
}

fn defect(bytes: &[u8]) -> Malformed {
    Fields::parse(bytes).unwrap_err()
}

const TAG: Tag = Tag::DATA;
const DATA: u16 = 0xDF48;

#[test]
fn no_bytes_are_no_fields() {
    assert!(Fields::parse(&[]).unwrap().is_empty());
    assert_eq!(Fields::new().encode().unwrap(), []);
}

#[test]
fn empty_value_is_a_value() {
    let fields = Fields::parse(&field(DATA, &[0], 0)).unwrap();
    assert_eq!(fields.get(TAG), Some(&[][..]));
    assert_eq!(fields.get(Tag::SERIAL), None);
}

#[test]
fn lengths_up_to_127_take_one_byte() {
    let good = field(DATA, &[0x7F], 127);
    let fields = Fields::parse(&good).unwrap();
    assert_eq!(fields.get(TAG).unwrap().len(), 127);
    assert_eq!(fields.encode().unwrap(), good);
    for length in [0, 127] {
        let bad = field(DATA, &[0x81, length], usize::from(length));
        assert_eq!(defect(&bad), Malformed::LengthNotMinimal { tag: TAG, length: usize::from(length) });
    }
}

#[test]
fn lengths_of_128_to_255_take_81() {
    for length in [128, 255] {
        let good = field(DATA, &[0x81, length], usize::from(length));
        assert_eq!(Fields::parse(&good).unwrap().encode().unwrap(), good);
    }
    for length in [0_u8, 127, 128, 255] {
        let bad = field(DATA, &[0x82, 0, length], usize::from(length));
        assert_eq!(defect(&bad), Malformed::LengthNotMinimal { tag: TAG, length: usize::from(length) });
    }
}

#[test]
fn lengths_of_256_and_more_take_82() {
    for length in [256_u16, 65_535] {
        let good = field(DATA, &[&[0x82], &length.to_be_bytes()[..]].concat(), usize::from(length));
        assert_eq!(Fields::parse(&good).unwrap().encode().unwrap(), good);
    }
    let mut fields = Fields::new();
    assert_eq!(fields.push(TAG, &[0; 65_536]), Err(Malformed::FrameTooLong { length: 65_536 }));
    assert_eq!(fields.push(TAG, &[0; 65_535]), Ok(()));
}

#[test]
fn indefinite_and_longer_lengths_are_refused() {
    for found in (0x80..=0xFF).filter(|first| ![0x81, 0x82].contains(first)) {
        let bad = field(DATA, &[found, 0, 1, 0], 256);
        assert_eq!(defect(&bad), Malformed::LengthForm { tag: TAG, found });
    }
}

#[test]
fn every_place_where_bytes_can_end_has_its_name() {
    let whole = field(DATA, &[0x82, 1, 0], 256);
    for (kept, expected) in [
        (1, Malformed::TagTruncated),
        (2, Malformed::LengthTruncated { tag: TAG }),
        (3, Malformed::LengthTruncated { tag: TAG }),
        (4, Malformed::LengthTruncated { tag: TAG }),
        (5, Malformed::ValueTruncated { tag: TAG, length: 256, left: 0 }),
        (whole.len() - 1, Malformed::ValueTruncated { tag: TAG, length: 256, left: 255 }),
    ] {
        assert_eq!(defect(&whole[..kept]), expected, "{kept} bytes");
    }
    assert_eq!(defect(&field(DATA, &[0x81], 0)), Malformed::LengthTruncated { tag: TAG });
    assert!(Fields::parse(&whole).is_ok());
}

#[test]
fn trailing_byte_is_refused() {
    let mut bytes = field(DATA, &[1], 1);
    bytes.push(0);
    assert_eq!(defect(&bytes), Malformed::TagTruncated);
    bytes.push(0);
    assert_eq!(defect(&bytes), Malformed::TagOutOfRange { found: 0 });
}

#[test]
fn tag_outside_the_ranges_is_malformed_not_unknown() {
    for found in [0xDF00, 0xDF80, 0xFF20, 0xFF30, 0x9F1A, 0x0000, 0xFFFF] {
        assert_eq!(defect(&field(found, &[1], 1)), Malformed::TagOutOfRange { found });
    }
}

#[test]
fn unlisted_tag_is_read_and_its_repetition_refused() {
    let unlisted = Tag::new(0xDF7F).unwrap();
    assert_eq!(unlisted.name(), None);
    let once = field(0xDF7F, &[1], 1);
    assert_eq!(Fields::parse(&once).unwrap().get(unlisted), Some(&[0xAA][..]));
    assert_eq!(defect(&once.repeat(2)), Malformed::RepeatedTag { tag: unlisted });
}

#[test]
fn repeated_primitive_is_refused_read_or_written() {
    let apart = [field(DATA, &[1], 1), field(0xDF02, &[1], 1), field(DATA, &[0], 0)].concat();
    assert_eq!(defect(&apart), Malformed::RepeatedTag { tag: TAG });
    let mut fields = Fields::new();
    fields.push(TAG, &[1]).unwrap();
    assert_eq!(fields.push(TAG, &[2]), Err(Malformed::RepeatedTag { tag: TAG }));
    assert_eq!(fields.get(TAG), Some(&[1][..]));
}

#[test]
fn repeated_primitive_inside_a_template_is_refused() {
    let inside = field(DATA, &[0], 0).repeat(2);
    let bytes = [&[0xFF, 0x21, 6], inside.as_slice()].concat();
    assert_eq!(defect(&bytes), Malformed::RepeatedTag { tag: TAG });
}

#[test]
fn same_primitive_in_message_and_template_is_no_repetition() {
    let bytes = [0xDF, 0x48, 1, 1, 0xFF, 0x21, 4, 0xDF, 0x48, 1, 2, 0xFF, 0x21, 4, 0xDF, 0x48, 1, 3];
    let fields = Fields::parse(&bytes).unwrap();
    assert_eq!(fields.get(TAG), Some(&[1][..]));
    let inside: Vec<_> = fields.templates(Tag::KEY_ENTRY).map(|entry| entry.get(TAG).unwrap()[0]).collect();
    assert_eq!(inside, [2, 3]);
    assert_eq!(fields.len(), 3);
    assert_eq!(fields.encode().unwrap(), bytes);
}

#[test]
fn defects_inside_a_template_are_defects() {
    assert_eq!(defect(&[0xFF, 0x21, 1, 0xDF]), Malformed::TagTruncated);
    // The value would go on past the template into what follows it.
    let past = [0xFF, 0x21, 4, 0xDF, 0x48, 2, 1, 0xDF, 0x02, 0];
    assert_eq!(defect(&past), Malformed::ValueTruncated { tag: TAG, length: 2, left: 1 });
}

#[test]
fn templates_lie_two_deep_and_no_deeper() {
    let mut two = Fields::new();
    two.push(Tag::PACKAGE_ENTRY, &[0xFF, 0x24, 0]).unwrap();
    let encoded = two.encode().unwrap();
    assert_eq!(encoded, [0xFF, 0x22, 3, 0xFF, 0x24, 0]);
    assert_eq!(Fields::parse(&encoded), Ok(two.clone()));

    let three = [0xFF, 0x22, 6, 0xFF, 0x24, 3, 0xFF, 0x23, 0];
    assert_eq!(defect(&three), Malformed::NestedTooDeep);
    let mut fields = Fields::new();
    assert_eq!(fields.push(Tag::PACKAGE_ENTRY, &three[6..]), Ok(()));
    assert_eq!(fields.push(Tag::PACKAGE_ENTRY, &three[3..]), Err(Malformed::NestedTooDeep));
    assert_eq!(fields.push_template(Tag::PACKAGE_ENTRY, two), Err(Malformed::NestedTooDeep));
    let mut one = Fields::new();
    one.push(Tag::APPROVAL, &[]).unwrap();
    assert_eq!(fields.push_template(Tag::PACKAGE_ENTRY, one), Ok(()));
}

#[test]
fn hostile_nesting_is_refused_before_it_costs_stack() {
    let mut bytes = Vec::new();
    for _ in 0..10_000 {
        let mut outer = vec![0xFF, 0x22];
        encode_length(bytes.len(), &mut outer).unwrap();
        outer.extend_from_slice(&bytes);
        bytes = outer;
    }
    assert_eq!(defect(&bytes), Malformed::NestedTooDeep);
}

#[test]
fn template_is_only_under_a_template_tag() {
    let refused = Fields::new().push_template(TAG, Fields::new());
    assert_eq!(refused, Err(Malformed::NotATemplate { tag: TAG }));
    let mut fields = Fields::new();
    assert_eq!(fields.push(Tag::KEY_ENTRY, &[1]), Err(Malformed::TagTruncated));
    fields.push(Tag::KEY_ENTRY, &[]).unwrap();
    assert_eq!(fields.get(Tag::KEY_ENTRY), None);
    assert_eq!(fields.templates(TAG).count(), 0);
}
