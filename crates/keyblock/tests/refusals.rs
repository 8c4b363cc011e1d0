//! Every named error that the other tests do not reach, at the limit and one past it.
#![cfg(feature = "crypto")]

mod support;

use keyblock::{
    Envelope, Error, Header, Kbpk, MAX_BLOCK_LENGTH, MAX_OPTIONAL_BLOCKS, OptionalBlock, Version,
};
use support::{header, kbpk};

fn parse(text: &str) -> Result<Header, Error> {
    Header::parse(text).map(|(header, _)| header)
}

#[test]
fn deprecated_versions_are_wrapped_only_when_asked_for() {
    for version in [Version::A, Version::C] {
        let (kbpk, header) = (kbpk(version), header(version, "T"));
        assert_eq!(kbpk.wrap(&header, &[1; 16]), Err(Error::LegacyVersion(version)));
        assert_eq!(kbpk.wrap_padded(&header, &[1; 16], 24), Err(Error::LegacyVersion(version)));
        assert!(kbpk.wrap_legacy(&header, &[1; 16]).is_ok());
        assert!(kbpk.wrap_legacy_padded(&header, &[1; 16], 24).is_ok());
    }
}

#[test]
fn a_header_of_another_version_is_not_wrapped() {
    let refusal = kbpk(Version::B).wrap(&header(Version::D, "T"), &[1; 16]);
    assert_eq!(refusal, Err(Error::VersionMismatch { kbpk: Version::B, block: Version::D }));
}

#[test]
fn a_key_of_no_bytes_is_not_wrapped() {
    assert_eq!(kbpk(Version::B).wrap(&header(Version::B, "T"), &[]), Err(Error::KeyEmpty));
}

#[test]
fn a_block_has_at_most_9999_characters() {
    // Version E: 16 characters of header, 32 of MAC, two each for the length field and the key.
    let longest = (MAX_BLOCK_LENGTH - 16 - 32 - 4) / 2;
    let (kbpk, header) = (kbpk(Version::E), header(Version::E, "R"));
    let block = kbpk.wrap(&header, &vec![1; longest]).expect("just fits");
    assert_eq!(block.len(), MAX_BLOCK_LENGTH - 1, "an even number of characters");
    assert_eq!(kbpk.unwrap(&block).expect("opens").key.len(), longest);
    assert_eq!(kbpk.wrap(&header, &vec![1; longest + 1]), Err(Error::BlockTooLong));
    assert_eq!(kbpk.wrap_padded(&header, &[1], longest + 1), Err(Error::BlockTooLong));
    assert_eq!(kbpk.wrap_padded(&header, &[1], usize::MAX), Err(Error::BlockTooLong));
    let huge = header.with_optional("10", "x".repeat(70_000)).expect("printable");
    assert_eq!(kbpk.wrap(&huge, &[1]), Err(Error::BlockTooLong));
}

#[test]
fn a_header_has_at_most_99_optional_blocks() {
    let kbpk = kbpk(Version::B);
    let mut header = header(Version::B, "T");
    // 16 + 99 * 8 is whole: no padding block.
    header.optional = (0..MAX_OPTIONAL_BLOCKS)
        .map(|number| OptionalBlock::new(&format!("{number:02}"), "abcd").expect("a good block"))
        .collect();
    let block = kbpk.wrap(&header, &[1; 16]).expect("99 fit");
    assert_eq!(kbpk.unwrap(&block).expect("opens").header, header);
    let full = header.clone().with_optional("AA", "abcd").expect("a good block");
    assert_eq!(kbpk.wrap(&full, &[1; 16]), Err(Error::TooManyOptionalBlocks));
    // The padding block counts, too.
    header.optional.pop();
    let padded = header.with_optional("AA", "abc").expect("a good block");
    assert_eq!(kbpk.wrap(&padded, &[1; 16]), Err(Error::TooManyOptionalBlocks));
}

#[test]
fn short_lengths_end_at_255_characters() {
    for (text, front) in [(251, "CTFF"), (252, "CT00020106")] {
        let header = header(Version::B, "T").with_optional("CT", "x".repeat(text)).expect("printable");
        let block = kbpk(Version::B).wrap(&header, &[1; 16]).expect("wraps");
        assert_eq!(&block[16..16 + front.len()], front);
        assert_eq!(kbpk(Version::B).unwrap(&block).expect("opens").header, header);
    }
}

#[test]
fn a_padding_block_from_the_caller_is_refused() {
    assert_eq!(OptionalBlock::new("PB", "0000").err(), Some(Error::PaddingBlockGiven));
}

#[test]
fn bad_optional_blocks_from_the_caller_are_refused() {
    for id in ["", "K", "KSN", "K-", "é"] {
        assert_eq!(OptionalBlock::new(id, "").err(), Some(Error::OptionalBlockId { index: 0 }), "{id}");
    }
    for text in ["a\nb", "\u{7f}", "ü"] {
        assert_eq!(
            OptionalBlock::new("10", text).err(),
            Some(Error::OptionalBlockText { index: 0 }),
            "{text:?}"
        );
    }
}

#[test]
fn a_repeated_optional_block_is_refused() {
    assert_eq!(parse("B0000P0TE00N02001004" /* 10 */).err(), Some(Error::OptionalBlockId { index: 1 }));
    assert_eq!(parse("B0000P0TE00N020010041004").err(), Some(Error::OptionalBlockRepeated { index: 1 }));
    let twice =
        header(Version::B, "T").with_optional("10", "a").and_then(|header| header.with_optional("10", "b"));
    let refusal = kbpk(Version::B).wrap(&twice.expect("two good blocks"), &[1; 16]);
    assert_eq!(refusal, Err(Error::OptionalBlockRepeated { index: 1 }));
}

#[test]
fn a_padding_block_that_is_not_the_last_is_refused() {
    assert_eq!(parse("B0000P0TE00N0200PB041004").err(), Some(Error::PaddingBlockNotLast { index: 0 }));
    assert_eq!(parse("B0000P0TE00N0200PB04PB04").err(), Some(Error::PaddingBlockNotLast { index: 0 }));
    assert!(parse("B0000P0TE00N02001004PB04").expect("the last").optional("PB").is_none());
}

#[test]
fn key_context_and_the_reserved_character_are_checked() {
    assert_eq!(parse("B0000P0TE00N0030").err(), Some(Error::KeyContext));
    assert_eq!(parse("B0000P0TE00N0001").err(), Some(Error::Reserved));
    assert!(parse("B0000P0TE00N0020").is_ok());
}

#[test]
fn lower_case_hexadecimal_is_refused() {
    let kbpk = kbpk(Version::D);
    let block = kbpk.wrap(&header(Version::D, "A"), &[0xAA; 16]).expect("wraps");
    let (front, mac) = block.split_at(block.len() - 32);
    // One block in four thousand million has no letter in its MAC or ciphertext.
    assert_eq!(kbpk.unwrap(&format!("{front}{}", mac.to_lowercase())).err(), Some(Error::MacHex));
    let (head, ciphertext) = front.split_at(16);
    let lower = format!("{head}{}{mac}", ciphertext.to_lowercase());
    assert_eq!(kbpk.unwrap(&lower).err(), Some(Error::CiphertextHex));
    assert_eq!(parse("B0000P0TE00N010010ff").err(), Some(Error::OptionalBlockLength { index: 0 }));
}

#[test]
fn an_extended_length_past_all_numbers_is_a_truncated_block() {
    let text = format!("B0000P0TE00N0100CT00FF{}", "F".repeat(510));
    assert_eq!(parse(&text).err(), Some(Error::OptionalBlockTruncated { index: 0 }));
}

#[test]
fn version_e_needs_pairs_of_digits_only() {
    let kbpk = kbpk(Version::E);
    let block = kbpk.wrap_padded(&header(Version::E, "R"), &[1; 3], 0).expect("wraps");
    assert_eq!(block.len(), 16 + 2 * 5 + 32);
    assert_eq!(kbpk.unwrap(&block).expect("opens").key.as_slice(), [1; 3]);
    let odd = format!("E0059{}0{}", &block[5..26], &block[26..]);
    assert_eq!(
        Envelope::parse(&odd).err(),
        Some(Error::CiphertextLength { version: Version::E, characters: 11 })
    );
}

#[test]
fn protection_keys_have_the_lengths_of_their_version() {
    for version in Version::ALL {
        let good: &[usize] = match version {
            Version::A | Version::C => &[8, 16, 24],
            Version::B => &[16, 24],
            Version::D | Version::E => &[16, 24, 32],
        };
        for length in 0..=40 {
            let refusal = Kbpk::new(version, &vec![1; length]).err();
            let expected = (!good.contains(&length)).then_some(Error::KbpkLength { version, length });
            assert_eq!(refusal, expected);
        }
    }
}

#[test]
fn nothing_printed_holds_a_key() {
    let kbpk = Kbpk::new(Version::B, &[0xAB; 16]).expect("16 bytes");
    let block = kbpk.wrap(&header(Version::B, "T"), &[0xCD; 16]).expect("wraps");
    let opened = kbpk.unwrap(&block).expect("opens");
    let printed = format!("{kbpk:?} {opened:?}").to_uppercase();
    assert!(
        !printed.contains("ABAB") && !printed.contains("CDCD") && !printed.contains("205, 205"),
        "{printed}"
    );
    assert!(printed.contains("16 BYTES"));
}

#[test]
fn codes_are_the_names_in_kebab_case() {
    assert_eq!(Error::NotAuthentic.code(), "not-authentic");
    assert_eq!(
        Error::OptionalBlockLengthOfLengthZero { index: 3 }.code(),
        "optional-block-length-of-length-zero"
    );
    assert_eq!(Error::LegacyVersion(Version::A).code(), "legacy-version");
}
