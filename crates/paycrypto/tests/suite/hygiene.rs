//! Parity, weak, semi-weak, possibly weak and equal parts (R6 of 4-requirements.md).

use std::collections::HashSet;

use paycrypto::hygiene::{KeyQuality, PoorKey, SEMI_WEAK, WEAK, same_without_parity, set_odd_parity};
use paycrypto::keys::Tmk;
use paycrypto::{AesKey, Error, SingleDesKey, TdesKey};

use crate::support::unhex;

/// A good part, to put a bad one beside.
const GOOD: [u8; 8] = [0x3D, 0x4E, 0x36, 0xAE, 0xAE, 0xF4, 0x75, 0x52];
const OTHER: [u8; 8] = [0x45, 0xE3, 0x4C, 0x3E, 0xB3, 0x2C, 0x26, 0x62];

/// A weak key encrypts what it encrypted back to the start; a semi-weak one has a partner that does. So the
/// lists are checked against DES itself, not against another copy of them.
#[test]
fn the_lists_are_those_of_the_cipher() {
    let block = *b"anything";
    let key = |part: u64| SingleDesKey::from_bytes(&part.to_be_bytes()).unwrap();
    for part in WEAK {
        assert_eq!(key(part).encrypt_block(key(part).encrypt_block(block)), block, "{part:016X}");
    }
    for pair in SEMI_WEAK.chunks(2) {
        let [first, second] = pair else { panic!("pairs") };
        assert_eq!(key(*second).encrypt_block(key(*first).encrypt_block(block)), block, "{first:016X}");
        assert_ne!(key(*first).encrypt_block(key(*first).encrypt_block(block)), block, "{first:016X}");
    }
    assert_eq!(WEAK.iter().chain(&SEMI_WEAK).collect::<HashSet<_>>().len(), 16);
}

/// Every weak and semi-weak part, in every position, with every parity: told and refused.
#[test]
fn all_16_weak_and_semi_weak_parts_are_refused_in_every_position() {
    for (list, refusal) in [(WEAK.as_slice(), PoorKey::Weak), (SEMI_WEAK.as_slice(), PoorKey::SemiWeak)] {
        for part in list {
            for parity in [0, 0x0101_0101_0101_0101, 0x0001_0001_0100_0001] {
                let part = (part ^ parity).to_be_bytes();
                for key in [
                    [part, GOOD].concat(),
                    [GOOD, part].concat(),
                    [part, GOOD, OTHER].concat(),
                    [GOOD, part, OTHER].concat(),
                    [GOOD, OTHER, part].concat(),
                ] {
                    let key = TdesKey::from_bytes(&key).unwrap();
                    assert_eq!(key.refuse_poor(), Err(refusal));
                    assert_eq!(key.quality().weak, refusal == PoorKey::Weak);
                    assert_eq!(key.quality().semi_weak, refusal == PoorKey::SemiWeak);
                    let strict = TdesKey::from_bytes_strict(key.expose());
                    assert_eq!(strict.err(), Some(Error::Poor(refusal)));
                }
            }
        }
    }
}

#[test]
fn a_key_of_zeros_is_weak() {
    assert_eq!(KeyQuality::of(&[0; 24]).refuse_poor(), Err(PoorKey::Weak));
    assert!(KeyQuality::of(&[0; 8]).is_poor());
}

#[test]
fn equal_parts_are_refused_with_parity_set_aside() {
    let almost: Vec<u8> = GOOD.iter().map(|byte| byte ^ 1).collect();
    for equal in [GOOD.as_slice(), &almost] {
        for key in [
            [&GOOD, equal].concat(),
            [&GOOD, equal, &OTHER].concat(),
            [&OTHER, &GOOD, equal].concat(),
            [&GOOD, &OTHER, equal].concat(),
        ] {
            let quality = KeyQuality::of(&key);
            assert!(quality.equal_parts && !quality.weak && !quality.semi_weak);
            assert_eq!(quality.refuse_poor(), Err(PoorKey::EqualParts));
        }
    }
    assert!(!KeyQuality::of(&[GOOD, OTHER].concat()).equal_parts);
}

#[test]
fn parity_is_told_and_never_a_reason() {
    let mut key = [GOOD, OTHER, *b"\x01\x23\x45\x67\x89\xAB\xCD\xEF"].concat();
    set_odd_parity(&mut key);
    assert!(KeyQuality::of(&key).odd_parity);
    for index in 0..24 {
        let mut even = key.clone();
        even[index] ^= 1;
        let quality = KeyQuality::of(&even);
        assert!(!quality.odd_parity, "byte {index}");
        assert_eq!(quality.refuse_poor(), Ok(()));
        assert!(Tmk::from_key(TdesKey::from_bytes(&even).unwrap()).is_ok());
    }
}

#[test]
fn setting_parity_changes_the_lowest_bits_only() {
    for byte in 0..=255 {
        let mut key = [byte];
        set_odd_parity(&mut key);
        assert_eq!(key[0].count_ones() % 2, 1);
        assert_eq!(key[0] & 0xFE, byte & 0xFE);
    }
}

/// The table of the first SP 800-67 has 48; some of its lines by name, and the count over all candidates.
#[test]
fn the_48_possibly_weak_keys_are_told_and_not_refused() {
    for listed in [
        "01011F1F01010E0E",
        "1F1F01010E0E0101",
        "E0E01F1FF1F10E0E",
        "0101E0E00101F1F1",
        "1F1FE0E00E0EF1F1",
        "E0E0FEFEF1F1FEFE",
        "0101FEFE0101FEFE",
        "011F1F01010E0E01",
        "1F01011F0E01010E",
        "E0FEFEE0F1FEFEF1",
    ] {
        let quality = KeyQuality::of(&unhex(listed));
        assert!(quality.possibly_weak && quality.odd_parity, "{listed}");
        assert!(!quality.is_poor(), "{listed}");
    }
    let kinds: [u8; 4] = [0x01, 0x1F, 0xE0, 0xFE];
    let right = |byte: u8| match byte {
        0x1F => 0x0E,
        0xE0 => 0xF1,
        same => same,
    };
    let mut told = 0;
    for number in 0..256_usize {
        let left: Vec<u8> = (0..4).map(|at| kinds[(number >> (2 * at)) & 3]).collect();
        let key: Vec<u8> = left.iter().copied().chain(left.iter().map(|byte| right(*byte))).collect();
        told += usize::from(KeyQuality::of(&key).possibly_weak);
    }
    assert_eq!(told, 48);
    assert!(!KeyQuality::of(&GOOD).possibly_weak);
}

#[test]
fn sameness_sets_parity_aside_and_minds_the_length() {
    assert!(same_without_parity(&[0x10, 0x21], &[0x11, 0x20]));
    assert!(!same_without_parity(&[0x10, 0x21], &[0x12, 0x21]));
    assert!(!same_without_parity(&[0x10, 0x21], &[0x10]));
}

#[test]
fn an_aes_key_that_is_one_part_repeated_is_refused() {
    let count = |to: u8| (1..=to).collect::<Vec<u8>>();
    for poor in [
        vec![0; 16],
        vec![0xFF; 32],
        vec![7; 24],
        count(8).repeat(2),
        count(16).repeat(2),
        count(4).repeat(4),
        count(2).repeat(16),
        count(8).repeat(3),
        count(12).repeat(2),
    ] {
        let refused = AesKey::from_bytes_strict(&poor).err();
        assert_eq!(refused, Some(Error::Poor(PoorKey::Repeated)), "{poor:?}");
        let mut good = poor;
        *good.last_mut().unwrap() ^= 1;
        assert!(AesKey::from_bytes_strict(&good).is_ok(), "{good:?}");
    }
}
