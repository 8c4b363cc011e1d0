//! What is refused, by name, and what nobody gets to see.

mod support;

use pinblock::{
    BadBlock, Error, Format, Format4Key, Pan, Pin, decode, decode_format4, encode, encode_filled,
    encode_format4,
};
use support::{pan, pin, unhex};

const PAN: &str = "5555555551234567";

#[test]
fn pins_that_are_none() {
    for digits in ["", "123", "1234567890123", "12a4", "12 4", "１２３４", "-123", "123\n"] {
        assert_eq!(Pin::new(digits).err(), Some(Error::PinDigits), "{digits:?}");
    }
}

#[test]
fn pans_that_are_none() {
    for digits in ["", "12345678901234567890", "4111 1111 1111 1111", "411111111111111X", "４１１"] {
        assert_eq!(Pan::new(digits).err(), Some(Error::PanDigits), "{digits:?}");
    }
}

#[test]
fn a_pan_of_12_digits_is_too_short_for_formats_0_and_3() {
    let (short, pin) = (pan("555555555555"), pin("1234"));
    for format in [Format::Iso0, Format::Iso3] {
        let refused = Error::PanShort { format: format.number() };
        assert_eq!(encode(format, &pin, Some(&short)).err(), Some(refused));
        assert_eq!(short.fits(format), Err(refused));
        assert_eq!(
            decode(format, &[0x04, 0x12, 0x34, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], Some(&short)).err(),
            Some(BadBlock)
        );
    }
    assert!(short.fits(Format::Iso1).is_ok() && short.fits(Format::Iso4).is_ok());
    assert!(pan("5555555555555").fits(Format::Iso0).is_ok());
}

#[test]
fn formats_0_and_3_need_the_pan() {
    for format in [Format::Iso0, Format::Iso3] {
        let refused = encode(format, &pin("1234"), None).err();
        assert_eq!(refused, Some(Error::PanMissing { format: format.number() }));
        let zero_pan = encode(format, &pin("1234"), Some(&pan("0000000000000000"))).unwrap();
        assert_eq!(
            decode(format, zero_pan.expose(), None).err(),
            Some(BadBlock),
            "no PAN is not a PAN of zeros"
        );
    }
}

#[test]
fn format_2_is_neither_made_nor_opened() {
    assert_eq!(encode(Format::Iso2, &pin("1234"), Some(&pan(PAN))).err(), Some(Error::Format2));
    let block = [0x24, 0x12, 0x34, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    assert_eq!(decode(Format::Iso2, &block, None).err(), Some(BadBlock));
    assert_eq!(decode(Format::Iso2, &block, Some(&pan(PAN))).err(), Some(BadBlock));
}

#[test]
fn format_4_is_never_in_clear() {
    assert_eq!(encode(Format::Iso4, &pin("1234"), Some(&pan(PAN))).err(), Some(Error::Format4NeedsKey));
    let field = [0x44, 0x12, 0x34, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA];
    assert_eq!(decode(Format::Iso4, &field, Some(&pan(PAN))).err(), Some(BadBlock));
}

#[test]
fn aes_keys_have_three_lengths() {
    for length in [0, 8, 15, 17, 31, 33, 64] {
        assert_eq!(Format4Key::new(&vec![1; length]).err(), Some(Error::KeyLength { found: length }));
    }
}

#[test]
fn formats_have_five_numbers() {
    assert_eq!(Format::from_number(5), Err(Error::UnknownFormat));
    assert_eq!(Format::from_number(0x30), Err(Error::UnknownFormat));
    for format in Format::ALL {
        assert_eq!(Format::from_number(format.number()), Ok(format));
    }
}

/// One field of each kind wrong at a time; format 1 has no fill to be wrong.
#[test]
fn each_wrong_part_of_a_block_has_the_same_answer() {
    for (what, block) in [
        ("control of format 0", "0412345678901234"),
        ("control of format 2", "2412345678901234"),
        ("control of format 3", "3412345678901234"),
        ("control out of range", "F412345678901234"),
        ("a length of 0", "1012345678901234"),
        ("a length of 3", "1312345678901234"),
        ("a length of 13", "1D12345678901234"),
        ("a length of 14", "1E12345678901234"),
        ("a length of 15", "1F12345678901234"),
        ("a digit A, the first", "14A2345678901234"),
        ("a digit F, the last", "14123F5678901234"),
        ("a digit of twelve, the last", "1C12345678901A34"),
    ] {
        let block = unhex(block).try_into().unwrap();
        assert_eq!(decode(Format::Iso1, &block, None).err(), Some(BadBlock), "{what}");
    }
    let good = unhex("14123A5678901234");
    assert!(decode(Format::Iso1, &good.try_into().unwrap(), None).is_err(), "a digit A inside");
    let good = unhex("141234ABCDEF0123").try_into().unwrap();
    assert_eq!(decode(Format::Iso1, &good, None).unwrap().expose(), "1234", "format 1 has any fill");
}

/// With a PAN whose bound digits are zeros the clear field is the block.
#[test]
fn each_wrong_fill_digit_is_refused() {
    let zeros = pan("0000000000000");
    for position in 6..16 {
        for digit in 0_u8..16 {
            let mut nibbles = [0, 4, 1, 2, 3, 4, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15];
            nibbles[position] = digit;
            let block: [u8; 8] = std::array::from_fn(|at| nibbles[2 * at] << 4 | nibbles[2 * at + 1]);
            assert_eq!(
                decode(Format::Iso0, &block, Some(&zeros)).is_ok(),
                digit == 15,
                "0: {position} {digit}"
            );
            let block = [&[0x34], &block[1..]].concat().try_into().unwrap();
            assert_eq!(
                decode(Format::Iso3, &block, Some(&zeros)).is_ok(),
                digit >= 10,
                "3: {position} {digit}"
            );
        }
    }
}

#[test]
fn another_pan_is_refused_in_format_4_and_by_its_bound_digits_in_0_and_3() {
    let (right, wrong) = (pan(PAN), pan("9999999999999999"));
    // The third digit, 3, comes out as 3 + 5 + 9 (without carry) = F. A PAN that differs where there is fill only may
    // pass in format 3: its fill is six digits of sixteen.
    for format in [Format::Iso0, Format::Iso3] {
        let block = encode(format, &pin("1234"), Some(&right)).unwrap();
        assert!(decode(format, block.expose(), Some(&wrong)).is_err());
    }
    let key = Format4Key::new(&[7; 32]).unwrap();
    let block = encode_format4(&pin("1234"), &right, &key).unwrap();
    assert_eq!(decode_format4(&block, &wrong, &key).err(), Some(BadBlock));
    let other = Format4Key::new(&[8; 32]).unwrap();
    assert_eq!(decode_format4(&block, &right, &other).err(), Some(BadBlock));
}

#[test]
fn nothing_secret_is_in_debug_output() {
    let (pin, pan) = (pin("98765"), pan(PAN));
    let block = encode(Format::Iso0, &pin, Some(&pan)).unwrap();
    let key = Format4Key::new(&[0x41; 16]).unwrap();
    assert_eq!(format!("{pin:?} {pan:?} {block:?} {key:?}"), "Pin(…) Pan(…) ClearBlock(…) Format4Key");
}

#[test]
fn pins_match_by_length_too() {
    assert!(pin("1234").matches(&pin("1234")));
    assert!(!pin("1234").matches(&pin("1235")));
    assert!(!pin("1234").matches(&pin("12340")));
}

#[test]
fn random_fill_differs_and_is_of_its_format() {
    let (pin, pan) = (pin("1234"), pan("0000000000000"));
    let mut seen = std::collections::HashSet::new();
    for round in 0..64 {
        let block = *encode(Format::Iso3, &pin, Some(&pan)).unwrap().expose();
        assert!(block[3..].iter().all(|byte| byte >> 4 >= 10 && byte & 15 >= 10), "{round}");
        seen.insert(block);
        seen.insert(*encode(Format::Iso1, &pin, None).unwrap().expose());
    }
    assert!(seen.len() > 120, "{} of 128", seen.len());
    // All six fill digits come up, and all sixteen of format 1.
    let fill = |format, random: u64| {
        *encode_filled(format, &pin, Some(&pan), &random.to_be_bytes()).unwrap().expose()
    };
    for digit in 0..6 {
        assert_eq!(u64::from(fill(Format::Iso3, digit)[3] >> 4), 10 + digit);
    }
    for digit in 0..16 {
        assert_eq!(u64::from(fill(Format::Iso1, digit)[3] >> 4), digit);
    }
}
