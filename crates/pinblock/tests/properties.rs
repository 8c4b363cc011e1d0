//! Properties over random PINs, PANs, fills, keys and blocks.

mod support;

use pinblock::{Format, Format4Key, decode, decode_format4, encode, encode_filled, encode_format4};
use proptest::prelude::*;
use support::{pan, pin};

fn eight_byte_format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Iso0), Just(Format::Iso1), Just(Format::Iso3)]
}

fn aes_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(16), Just(24), Just(32)]
        .prop_flat_map(|length| proptest::collection::vec(any::<u8>(), length))
}

/// What the standard's text says of a clear block, read anew and without care for time.
fn plainly(format: Format, block: [u8; 8], pan: &str) -> Option<String> {
    let mut nibbles: Vec<u8> = block.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect();
    if format != Format::Iso1 {
        let bound = &pan[pan.len() - 13..pan.len() - 1];
        for (nibble, digit) in nibbles[4..].iter_mut().zip(bound.bytes()) {
            *nibble ^= digit - b'0';
        }
    }
    let length = usize::from(nibbles[1]);
    if nibbles[0] != format.number() || !(4..=12).contains(&length) {
        return None;
    }
    let (digits, fill) = nibbles[2..].split_at(length);
    let fills = match format {
        Format::Iso0 => fill.iter().all(|nibble| *nibble == 15),
        Format::Iso3 => fill.iter().all(|nibble| *nibble >= 10),
        _ => true,
    };
    let all = digits.iter().all(|digit| *digit <= 9) && fills;
    all.then(|| digits.iter().map(|digit| char::from(b'0' + digit)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_made_is_opened(
        format in eight_byte_format(), digits in "[0-9]{4,12}", card in "[0-9]{13,19}", random: [u8; 8],
    ) {
        let (pin, pan) = (pin(&digits), pan(&card));
        for block in [encode(format, &pin, Some(&pan)), encode_filled(format, &pin, Some(&pan), &random)] {
            let block = block.unwrap();
            let opened = decode(format, block.expose(), Some(&pan)).unwrap();
            prop_assert!(opened.matches(&pin));
            prop_assert_eq!(opened.expose(), &digits);
            prop_assert_eq!(plainly(format, *block.expose(), &card), Some(digits.clone()));
        }
    }

    /// Any eight bytes, half of them with a control and a length that could be.
    #[test]
    fn decoding_is_what_the_standard_says(
        format in eight_byte_format(), mut block: [u8; 8], near: bool, length in 3_u8..14, card in "[0-9]{13,19}",
    ) {
        if near {
            block[0] = format.number() << 4 | length;
        }
        let opened = decode(format, &block, Some(&pan(&card)));
        prop_assert_eq!(opened.ok().map(|pin| pin.expose().to_owned()), plainly(format, block, &card));
    }

    /// A made block with one nibble changed.
    #[test]
    fn decoding_a_damaged_block_is_what_the_standard_says(
        format in eight_byte_format(), digits in "[0-9]{4,12}", card in "[0-9]{13,19}",
        at in 0_usize..8, change in 1_u8..=255,
    ) {
        let pan = pan(&card);
        let mut block = *encode(format, &pin(&digits), Some(&pan)).unwrap().expose();
        block[at] ^= change;
        let opened = decode(format, &block, Some(&pan));
        prop_assert_eq!(opened.ok().map(|pin| pin.expose().to_owned()), plainly(format, block, &card));
    }

    #[test]
    fn no_format_is_opened_as_another(
        format in eight_byte_format(), digits in "[0-9]{4,12}", card in "[0-9]{13,19}",
    ) {
        let pan = pan(&card);
        let block = encode(format, &pin(&digits), Some(&pan)).unwrap();
        for other in Format::ALL.into_iter().filter(|other| *other != format) {
            prop_assert!(decode(other, block.expose(), Some(&pan)).is_err());
        }
    }
}

proptest! {
    // A PIN field by chance has odds of some 2^-24: few enough cases that it does not happen here.
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn format_4_opens_with_its_pan_and_key_only(
        digits in "[0-9]{4,12}", card in "[0-9]{1,19}", other in "[0-9]{1,19}", key in aes_key(),
    ) {
        let pin = pin(&digits);
        let (key, right) = (Format4Key::new(&key).unwrap(), pan(&card));
        let block = encode_format4(&pin, &right, &key).unwrap();
        prop_assert!(decode_format4(&block, &right, &key).unwrap().matches(&pin));
        prop_assert_ne!(block, encode_format4(&pin, &right, &key).unwrap(), "random");
        // Up to 12 digits the standard fills with zeros in front: these are one PAN.
        prop_assume!(format!("{other:0>12}") != format!("{card:0>12}"));
        prop_assert!(decode_format4(&block, &pan(&other), &key).is_err());
    }

    #[test]
    fn any_change_of_a_block_of_format_4_spoils_it(
        digits in "[0-9]{4,12}", card in "[0-9]{1,19}", key in aes_key(), at in 0_usize..16, change in 1_u8..=255,
    ) {
        let (key, pan) = (Format4Key::new(&key).unwrap(), pan(&card));
        let mut block = encode_format4(&pin(&digits), &pan, &key).unwrap();
        block[at] ^= change;
        prop_assert!(decode_format4(&block, &pan, &key).is_err());
    }
}
