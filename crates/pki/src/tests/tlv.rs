//! Tags and lengths, at their limits.

use crate::tlv::{Reader, SEQUENCE, encode, encode_set_of, positive, whole};

#[test]
fn lengths_are_written_minimally_and_read_back() {
    let headers: [(usize, &[u8]); 7] = [
        (0, &[0x30, 0x00]),
        (127, &[0x30, 0x7F]),
        (128, &[0x30, 0x81, 0x80]),
        (255, &[0x30, 0x81, 0xFF]),
        (256, &[0x30, 0x82, 0x01, 0x00]),
        (65_535, &[0x30, 0x82, 0xFF, 0xFF]),
        (65_536, &[0x30, 0x83, 0x01, 0x00, 0x00]),
    ];
    for (len, header) in headers {
        let value = vec![0xAB; len];
        let encoded = encode(SEQUENCE, &[&value]);
        assert_eq!(&encoded[..header.len()], header, "{len}");
        let read = whole(&encoded, SEQUENCE).unwrap();
        assert_eq!((read.value, read.raw), (&value[..], &encoded[..]));
    }
}

#[test]
fn lengths_of_any_other_form_are_refused() {
    let cases: [(&str, &[u8]); 9] = [
        ("nothing", &[]),
        ("no length", &[0x30]),
        ("indefinite", &[0x30, 0x80, 0x00, 0x00]),
        ("one byte where none is needed", &[0x30, 0x81, 0x01, 0x00]),
        ("a leading zero", &[0x30, 0x82, 0x00, 0x80]),
        ("the length cut off", &[0x30, 0x82, 0x01]),
        ("the value cut off", &[0x30, 0x02, 0x00]),
        ("five bytes of length", &[0x30, 0x85, 0x01, 0x00, 0x00, 0x00, 0x00]),
        ("the greatest length there is", &[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]),
    ];
    for (what, bytes) in cases {
        assert!(Reader::new(bytes).any().is_err(), "{what}");
    }
    assert!(Reader::new(&[0x1F, 0x81, 0x01, 0x00]).any().is_err(), "a tag of several bytes");
    assert!(whole(&[0x30, 0x00, 0x00], SEQUENCE).is_err(), "a byte after the end");
    assert!(whole(&[0x31, 0x00], SEQUENCE).is_err(), "another tag");
}

#[test]
fn a_set_of_is_sorted_by_its_encodings() {
    let set = encode_set_of(0x31, vec![vec![4, 2, 0, 0], vec![4, 1, 9], vec![2, 1, 9], vec![4, 1, 8]]);
    assert_eq!(set, [0x31, 13, 2, 1, 9, 4, 1, 8, 4, 1, 9, 4, 2, 0, 0]);
}

#[test]
fn only_minimal_positive_numbers_have_a_magnitude() {
    assert_eq!(positive(&[1]), Some(&[1][..]));
    assert_eq!(positive(&[0x7F, 0]), Some(&[0x7F, 0][..]));
    assert_eq!(positive(&[0, 0x80]), Some(&[0x80][..]));
    for bad in [&[][..], &[0], &[0, 0x7F], &[0, 0], &[0x80], &[0xFF, 1]] {
        assert_eq!(positive(bad), None, "{bad:?}");
    }
}
