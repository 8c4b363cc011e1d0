//! The test tables of psec (MIT), negative rows too. The tables of format 4's clear fields, which this crate does not
//! give out, are beside its code.
#![allow(clippy::expect_used, clippy::panic, reason = "a row that says something else fails the test")]

mod support;

use pinblock::{
    BadBlock, Error, Format, Format4Key, Pan, Pin, decode, decode_format4, encode, encode_format4,
};
use support::{bytes, hex, pan, pin, rows, text};

/// Our answer to a request of psec's to encode.
fn encoded(format: Format, pin: &str, pan: &str) -> Result<String, Error> {
    let (pin, pan) = (Pin::new(pin)?, Pan::new(pan)?);
    encode(format, &pin, Some(&pan)).map(|block| hex(block.expose()))
}

/// Our name for what psec's text says of a PIN or a PAN.
fn expected(text: &str, pan: &str, format: Format) -> Error {
    let digits = pan.bytes().all(|digit| digit.is_ascii_digit());
    match text.split_once(' ') {
        Some(("PIN", _)) => Error::PinDigits,
        Some(("PAN", _)) if digits && format != Format::Iso4 => Error::PanShort { format: format.number() },
        Some(("PAN", _)) => Error::PanDigits,
        _ => panic!("{text}"),
    }
}

#[test]
fn formats_0_and_3_are_made() {
    for row in rows("test_encode_pinblock_iso_0", 2) {
        let made = encoded(Format::Iso0, text(&row, "pin"), text(&row, "pan"));
        assert_eq!(made.as_deref(), Ok(text(&row, "pin_block")));
    }
    for row in rows("test_encode_pinblock_iso_3", 2) {
        let made = encoded(Format::Iso3, text(&row, "pin"), text(&row, "pan")).expect("a block");
        assert!(made.starts_with(text(&row, "pin_block")), "{made}, its fill is random");
    }
}

#[test]
fn requests_to_make_formats_0_and_3_are_refused_by_name() {
    for (table, format) in [
        ("test_encode_pinblock_iso_0_exception", Format::Iso0),
        ("test_encode_pinblock_iso_3_exception", Format::Iso3),
    ] {
        for row in rows(table, 5) {
            let pan = text(&row, "pan");
            let refused = encoded(format, text(&row, "pin"), pan).err();
            assert_eq!(refused, Some(expected(text(&row, "error"), pan, format)), "{row}");
        }
    }
}

#[test]
fn formats_0_and_3_are_opened() {
    for (table, format) in
        [("test_decode_pinblock_iso_0", Format::Iso0), ("test_decode_pinblock_iso_3", Format::Iso3)]
    {
        for row in rows(table, 4) {
            let block = bytes(&row, "pin_block").try_into().expect("8 bytes");
            let opened = decode(format, &block, Some(&pan(text(&row, "pan")))).expect("a PIN");
            assert_eq!(opened.expose(), text(&row, "pin"));
        }
    }
}

#[test]
fn blocks_of_formats_0_and_3_are_refused_with_one_answer() {
    for (table, format) in [
        ("test_decode_pinblock_iso_0_exception", Format::Iso0),
        ("test_decode_pinblock_iso_3_exception", Format::Iso3),
    ] {
        for row in rows(table, 8) {
            let (block, error) = (bytes(&row, "pin_block"), text(&row, "error"));
            let Ok(block) = <[u8; 8]>::try_from(block) else {
                assert!(error.contains("8 bytes long"), "our type says it already: {row}");
                continue;
            };
            let pan = Pan::new(text(&row, "pan"));
            match &pan {
                Ok(pan) => assert_eq!(decode(format, &block, Some(pan)).err(), Some(BadBlock), "{row}"),
                Err(refused) => assert_eq!(*refused, Error::PanDigits, "{row}"),
            }
            if error.starts_with("PAN")
                && let Ok(pan) = pan
            {
                assert_eq!(pan.fits(format), Err(Error::PanShort { format: format.number() }), "{row}");
            }
        }
    }
}

/// psec makes and opens format 2; here it is known only to be refused.
#[test]
fn format_2_is_refused_whatever_psec_does() {
    for row in rows("test_encode_pinblock_iso_2", 4) {
        let pin = pin(text(&row, "pin"));
        assert_eq!(encode(Format::Iso2, &pin, None).err(), Some(Error::Format2));
    }
    for row in rows("test_encode_pinblock_iso_2_exception", 3) {
        assert_eq!(Pin::new(text(&row, "pin")).err(), Some(Error::PinDigits));
    }
    let blocks = [rows("test_decode_pinblock_iso_2", 4), rows("test_decode_pinblock_iso_2_exception", 6)];
    for row in blocks.concat() {
        if let Ok(block) = bytes(&row, "pin_block").try_into() {
            assert_eq!(decode(Format::Iso2, &block, None).err(), Some(BadBlock));
            assert_eq!(decode(Format::Iso1, &block, None).err(), Some(BadBlock));
        }
    }
}

#[test]
fn format_4_is_opened() {
    for row in rows("test_decipher_pinblock_iso_4", 2) {
        let key = Format4Key::new(&bytes(&row, "key")).expect("a key");
        let block = bytes(&row, "pin_block").try_into().expect("16 bytes");
        let opened = decode_format4(&block, &pan(text(&row, "pan")), &key).expect("a PIN");
        assert_eq!(opened.expose(), text(&row, "pin"));
    }
}

#[test]
fn blocks_of_format_4_are_refused_with_one_answer() {
    for row in rows("test_decipher_pinblock_iso_4_exception", 6) {
        let key = Format4Key::new(&bytes(&row, "key")).expect("a key");
        let error = text(&row, "error");
        match (<[u8; 16]>::try_from(bytes(&row, "pin_block")), Pan::new(text(&row, "pan"))) {
            (Err(_), _) => assert!(error.starts_with("Data length"), "{row}"),
            (_, Err(refused)) => assert_eq!(refused, expected(error, text(&row, "pan"), Format::Iso4)),
            (Ok(block), Ok(pan)) => {
                assert_eq!(decode_format4(&block, &pan, &key).err(), Some(BadBlock), "{row}");
            }
        }
    }
}

#[test]
fn requests_to_make_format_4_are_refused_by_name() {
    for row in rows("test_encipher_pinblock_iso_4_exception", 6) {
        let key = Format4Key::new(&bytes(&row, "key")).expect("a key");
        let made = Pin::new(text(&row, "pin"))
            .and_then(|pin| encode_format4(&pin, &Pan::new(text(&row, "pan"))?, &key));
        let expected = expected(text(&row, "error"), text(&row, "pan"), Format::Iso4);
        assert_eq!(made.err(), Some(expected), "{row}");
    }
    for row in rows("test_encode_pin_field_iso_4_exception", 2) {
        assert_eq!(Pin::new(text(&row, "pin")).err(), Some(Error::PinDigits));
    }
    for row in rows("test_encode_pan_field_iso_4_exception", 2) {
        assert_eq!(Pan::new(text(&row, "pan")).err(), Some(Error::PanDigits));
    }
}
