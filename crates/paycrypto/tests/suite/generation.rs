//! Keys from the operating system's random numbers. (A stuck source is tested beside its health test.)

use std::collections::HashSet;

use paycrypto::keys::{Dmk, Mak, Pik, Tek, Tmk};
use paycrypto::{AesKey, Error, TdesKey, TdesLength};

/// Enough to find a parity bit or a part that is not random.
const KEYS: usize = 2_000;

#[test]
fn made_keys_have_odd_parity_and_good_parts_and_never_repeat() {
    let mut seen = HashSet::new();
    for _ in 0..KEYS {
        for key in [TdesKey::generate16().unwrap(), TdesKey::generate24().unwrap()] {
            let quality = key.quality();
            assert!(quality.odd_parity);
            assert_eq!(quality.refuse_poor(), Ok(()));
            for part in key.expose().chunks(8) {
                assert!(seen.insert(part.to_vec()), "a part came twice");
            }
        }
    }
    assert_eq!(seen.len(), 5 * KEYS);
}

#[test]
fn every_bit_but_parity_takes_both_values() {
    let (mut ones, mut zeros) = ([0_u8; 24], [0_u8; 24]);
    for _ in 0..200 {
        for (index, byte) in TdesKey::generate24().unwrap().expose().iter().enumerate() {
            ones[index] |= byte;
            zeros[index] |= !byte;
        }
    }
    assert_eq!((ones, zeros), ([0xFF; 24], [0xFF; 24]));
}

#[test]
fn lengths_are_those_asked_for() {
    assert_eq!(TdesKey::generate16().unwrap().length(), TdesLength::Double);
    assert_eq!(TdesKey::generate24().unwrap().length(), TdesLength::Triple);
    assert_eq!(AesKey::generate16().unwrap().expose().len(), 16);
    assert_eq!(AesKey::generate24().unwrap().expose().len(), 24);
    assert_eq!(AesKey::generate32().unwrap().expose().len(), 32);
    assert_eq!(Tmk::generate().unwrap().expose().len(), 24);
    assert_eq!(Pik::generate().unwrap().expose().len(), 24);
    assert_eq!(Mak::generate().unwrap().expose().len(), 16);
}

#[test]
fn named_keys_refuse_lengths_that_they_do_not_have() {
    let double = || TdesKey::generate16().unwrap();
    let triple = || TdesKey::generate24().unwrap();
    assert!(Pik::from_key(double()).is_ok() && Pik::from_key(triple()).is_ok());
    let refused = |algorithm, allowed, found| Some(Error::KeyLength { algorithm, allowed, found });
    assert_eq!(Tek::from_key(double()).err(), refused("Tek", "24", 16));
    assert_eq!(Dmk::from_key(double()).err(), refused("Dmk", "24", 16));
    assert_eq!(Mak::from_key(triple()).err(), refused("Mak", "16", 24));
}
