//! R9: unique keys. What one device's key tells of another's is nothing: they are random, or one-way of a random one.

use std::collections::HashSet;

use paycrypto::{
    TdesKey, derive,
    ec::{
        derive_dik2,
        keys::{Dik1, Tmk},
    },
};

/// A serial of an estate.
fn serial(number: u32) -> String {
    format!("SN-{number:08}")
}

#[test]
fn r9_a_million_generated_keys_are_all_different() {
    let keys: HashSet<[u8; 16]> =
        (0..1_000_000).map(|_| Tmk::generate().unwrap().expose().try_into().unwrap()).collect();
    assert_eq!(keys.len(), 1_000_000);
}

/// One DIK1, one factor, many devices; and one device with many factors.
#[test]
fn r9_derived_keys_of_devices_are_all_different() {
    const DEVICES: u32 = 100_000;
    let (tdes, aes) = (TdesKey::generate24().unwrap(), Dik1::generate().unwrap());
    let both = |dsn: &str, factor: &[u8]| {
        let tdes = derive::derive_dik2(&tdes, dsn, factor).unwrap();
        let aes = derive_dik2(&aes, dsn, factor).unwrap();
        let of_tdes: [u8; 24] = tdes.expose().try_into().unwrap();
        (of_tdes, *aes.expose())
    };
    let (mut of_tdes, mut of_aes) = (HashSet::new(), HashSet::new());
    for number in 0..DEVICES {
        let (tdes, aes) = both(&serial(number), b"factor");
        of_tdes.insert(tdes);
        of_aes.insert(aes);
        let (tdes, aes) = both("SN-1", &number.to_be_bytes());
        of_tdes.insert(tdes);
        of_aes.insert(aes);
    }
    assert_eq!((of_tdes.len(), of_aes.len()), (2 * DEVICES as usize, 2 * DEVICES as usize));
    // What is derived does not show what it was derived from.
    let (tdes_part, aes_part) = (&tdes.expose()[..8], &aes.expose()[..8]);
    assert!(!of_tdes.iter().any(|key| key.windows(8).any(|part| part == tdes_part)));
    assert!(!of_aes.iter().any(|key| key.windows(8).any(|part| part == aes_part)));
}
