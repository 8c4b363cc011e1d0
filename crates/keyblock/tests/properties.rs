//! Properties: what is wrapped opens again, any change is refused, no text makes the parser panic.
#![cfg(feature = "crypto")]
#![allow(clippy::expect_used, reason = "a strategy that makes something else fails the test")]

mod support;

use keyblock::{Envelope, Error, Header, Kbpk, KeyContext, KeyVersion, OptionalBlock, Version};
use proptest::prelude::*;
use support::{header, kbpk};

fn versions() -> impl Strategy<Value = Version> {
    prop::sample::select(Version::ALL.to_vec())
}

/// A header with up to four optional blocks, one of them perhaps of extended length.
fn headers() -> impl Strategy<Value = Header> {
    let blocks = prop::collection::btree_map("[0-9]{2}", "[ -~]{0,40}", 0..4);
    (versions(), "[A-Z0-9]{1}", "[A-Za-z0-9]{2}", 0_usize..3, blocks, prop::option::of("[ -~]{240,600}"))
        .prop_map(|(version, algorithm, key_version, context, blocks, long)| {
            let mut header = header(version, &algorithm);
            header.key_version = KeyVersion::parse(&key_version).expect("two characters");
            header.key_context =
                [KeyContext::Unspecified, KeyContext::Storage, KeyContext::Exchange][context];
            let long = long.map(|text| ("CT".to_owned(), text));
            header.optional = blocks
                .into_iter()
                .chain(long)
                .map(|(id, text)| OptionalBlock::new(&id, text).expect("a good block"))
                .collect();
            header
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_wrapped_opens_again(
        header in headers(),
        key in prop::collection::vec(any::<u8>(), 1..700),
        padded in 0_usize..800,
    ) {
        let kbpk = kbpk(header.version);
        for block in [kbpk.wrap_legacy(&header, &key)?, kbpk.wrap_legacy_padded(&header, &key, padded)?] {
            let opened = kbpk.unwrap(&block)?;
            prop_assert_eq!(&opened.header, &header);
            prop_assert_eq!(opened.key.as_slice(), key.as_slice());
            let (read, length) = Header::parse(&block)?;
            prop_assert_eq!(&read, &header);
            prop_assert_eq!(length % header.version.cipher_block(), 0);
            prop_assert_eq!(Envelope::parse(&block)?.header_text().len(), length);
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>(), version in versions()) {
        let _ = Header::parse(&text);
        let _ = Envelope::parse(&text);
        prop_assert!(kbpk(version).unwrap(&text).is_err());
    }

    #[test]
    fn text_that_looks_like_a_block_never_panics(
        text in "[A-E][0-9]{4}[A-Z0-9]{4}[0-9]{2}[ENS]0[0-3]00([0-9A-Z]{2}0[0-9A-F].{0,12}){0,3}[0-9A-F]{0,120}",
        version in versions(),
    ) {
        // The right length, so that the parser gets further than the length check.
        let text = if text.is_char_boundary(1) && text.is_char_boundary(5) {
            format!("{}{:04}{}", &text[..1], text.len().min(9999), &text[5..])
        } else {
            text
        };
        let _ = Header::parse(&text);
        let _ = Envelope::parse(&text);
        prop_assert!(kbpk(version).unwrap(&text).is_err());
    }

    #[test]
    fn a_block_cut_or_spliced_anywhere_is_refused(version in versions(), at in 0_usize..150, extra in "[0-9A-F]{1,40}") {
        let kbpk = kbpk(version);
        let block = kbpk.wrap_legacy(&header(version, "T"), &[7; 24])?;
        let at = at.min(block.len() - 1);
        prop_assert!(kbpk.unwrap(&block[..at]).is_err());
        let spliced = format!("{}{extra}{}", &block[..at], &block[at..]);
        prop_assert!(kbpk.unwrap(&spliced).is_err());
    }
}

/// Every character of the block, every bit that leaves it ASCII and some that do not.
#[test]
fn every_flipped_byte_of_a_block_is_refused() {
    for version in Version::ALL {
        let kbpk = kbpk(version);
        let header = header(version, "A").with_optional("10", "SN-1001/03").expect("a good block");
        let block = kbpk.wrap_legacy(&header, &[9; 16]).expect("wraps");
        for at in 0..block.len() {
            for bit in 0..7 {
                let mut bytes = block.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let changed = String::from_utf8(bytes).expect("still ASCII");
                assert!(
                    kbpk.unwrap(&changed).is_err(),
                    "version {version}, character {at}, bit {bit}: {changed}"
                );
            }
            let mut changed = block.clone();
            changed.replace_range(at..=at, "é");
            assert!(kbpk.unwrap(&changed).is_err(), "version {version}, character {at}");
        }
        assert!(kbpk.unwrap(&block).is_ok(), "the block itself is good");
    }
}

/// All versions with every length of protection key, and keys around every cipher block.
#[test]
fn every_version_protection_key_and_key_length_round_trips() {
    for version in Version::ALL {
        for kbpk_length in [8, 16, 24, 32] {
            let Ok(kbpk) = Kbpk::new(version, &vec![0x5A; kbpk_length]) else { continue };
            for key_length in (1..=49).chain([128, 1024, 4096]) {
                let key = vec![0xC3; key_length];
                for algorithm in ["T", "A", "R"] {
                    let block = kbpk.wrap_legacy(&header(version, algorithm), &key).expect("wraps");
                    assert_eq!(kbpk.unwrap(&block).expect("opens").key.as_slice(), key);
                }
            }
        }
    }
}

/// A 16-byte and a 24-byte TDES key, and AES keys of all lengths, cannot be told apart by their blocks.
#[test]
fn key_lengths_are_hidden() {
    for version in Version::ALL {
        let length = |algorithm: &str, key: usize| {
            let block = kbpk(version).wrap_legacy(&header(version, algorithm), &vec![1; key]).expect("wraps");
            block.len()
        };
        assert_eq!(length("T", 8), length("T", 24));
        assert_eq!(length("T", 16), length("T", 24));
        assert_eq!(length("A", 16), length("A", 32));
        assert_eq!(length("A", 24), length("A", 32));
    }
}

#[test]
fn the_same_key_wraps_to_another_block_each_time_where_there_is_padding() {
    for version in Version::ALL {
        let kbpk = kbpk(version);
        let wrap = || kbpk.wrap_legacy(&header(version, "T"), &[3; 16]).expect("wraps");
        assert_ne!(wrap(), wrap(), "version {version}");
    }
}

#[test]
fn another_protection_key_does_not_open() {
    for version in Version::ALL {
        let block = kbpk(version).wrap_legacy(&header(version, "T"), &[3; 16]).expect("wraps");
        let other = Kbpk::new(version, &[0x77; 24]).expect("24 bytes");
        assert_eq!(other.unwrap(&block).err(), Some(Error::NotAuthentic), "version {version}");
    }
}
