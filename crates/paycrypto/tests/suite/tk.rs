//! TK: only a checked one can be used.

use paycrypto::digest::sha256;
use paycrypto::tk::{CLEAR, CheckedTk, TkDefect, UncheckedTk};
use paycrypto::{TdesKey, hygiene};

use crate::support::{bytes, flow, unhex};

/// 80 bytes with a right hash over any two keys.
fn clear(tek: &[u8], auk: &[u8]) -> Vec<u8> {
    let keys = [tek, auk].concat();
    let hash = sha256(&keys);
    [keys.as_slice(), &hash].concat()
}

fn defect(clear: &[u8]) -> Option<TkDefect> {
    UncheckedTk::from_slice(clear).check().err()
}

#[test]
fn the_worked_tk_is_good_and_comes_out_as_it_went_in() {
    let a = flow("flow_a");
    let bytes_in = [bytes(&a, "tek"), bytes(&a, "auk"), bytes(&a, "tk_sha256")].concat();
    let tk = UncheckedTk::from_slice(&bytes_in).check().unwrap();
    assert_eq!(tk.tek().expose(), bytes(&a, "tek"));
    assert_eq!(tk.auk().expose(), bytes(&a, "auk"));
    assert_eq!(tk.sha256().as_slice(), bytes(&a, "tk_sha256"));
    assert_eq!(tk.to_clear().as_slice(), bytes_in);
}

#[test]
fn one_bit_changed_anywhere_is_a_wrong_hash() {
    let good = CheckedTk::generate().unwrap().to_clear();
    for index in 0..CLEAR {
        for bit in 0..8 {
            let mut changed = good.to_vec();
            changed[index] ^= 1 << bit;
            assert_eq!(defect(&changed), Some(TkDefect::Hash), "byte {index} bit {bit}");
        }
    }
}

#[test]
fn other_lengths_are_refused() {
    let good = CheckedTk::generate().unwrap().to_clear();
    for len in 0..CLEAR {
        assert_eq!(defect(&good[..len]), Some(TkDefect::Length), "{len}");
    }
    assert_eq!(defect(&[good.as_slice(), &[0]].concat()), Some(TkDefect::Length));
}

#[test]
fn poor_halves_are_refused_with_a_right_hash() {
    let good = TdesKey::generate24().unwrap();
    let good = good.expose();
    for poor in [
        unhex("0101010101010101").repeat(3),
        [&good[..8], &good[..8], &good[16..]].concat(),
        [&good[..16], &good[..8]].concat(),
        [&good[..16], unhex("011F011F010E010E").as_slice()].concat(),
    ] {
        assert_eq!(defect(&clear(&poor, good)), Some(TkDefect::WeakTek));
        assert_eq!(defect(&clear(good, &poor)), Some(TkDefect::WeakAuk));
    }
}

#[test]
fn tek_and_auk_must_differ_in_more_than_parity() {
    let key = TdesKey::generate24().unwrap();
    let same: Vec<u8> = key.expose().iter().map(|byte| byte ^ 1).collect();
    assert_eq!(defect(&clear(key.expose(), key.expose())), Some(TkDefect::EqualKeys));
    assert_eq!(defect(&clear(key.expose(), &same)), Some(TkDefect::EqualKeys));
}

#[test]
fn even_parity_is_no_defect() {
    let flip = |key: &TdesKey| key.expose().iter().map(|byte| byte ^ 1).collect::<Vec<u8>>();
    let (tek, auk) = (TdesKey::generate24().unwrap(), TdesKey::generate24().unwrap());
    assert!(!hygiene::KeyQuality::of(&flip(&tek)).odd_parity);
    assert_eq!(defect(&clear(&flip(&tek), &flip(&auk))), None);
}

#[test]
fn keys_that_come_apart_are_checked_too() {
    let from = |tek: &[u8], auk: &[u8]| {
        CheckedTk::from_keys(TdesKey::from_bytes(tek).unwrap(), TdesKey::from_bytes(auk).unwrap()).err()
    };
    let (tek, auk) = (TdesKey::generate24().unwrap(), TdesKey::generate24().unwrap());
    assert_eq!(from(tek.expose(), auk.expose()), None);
    assert_eq!(from(tek.expose(), tek.expose()), Some(TkDefect::EqualKeys));
    assert_eq!(from(&tek.expose()[..16], auk.expose()), Some(TkDefect::Length));
    assert_eq!(from(&[1; 24], auk.expose()), Some(TkDefect::WeakTek));
    assert_eq!(from(tek.expose(), &[1; 24]), Some(TkDefect::WeakAuk));
}

#[test]
fn made_tks_are_good_and_never_the_same() {
    let (a, b) = (CheckedTk::generate().unwrap(), CheckedTk::generate().unwrap());
    assert_eq!(defect(&a.to_clear()), None);
    assert_ne!(a.to_clear().as_slice(), b.to_clear().as_slice());
    let shown = format!("{a:?} {:?}", UncheckedTk::from_slice(b"12"));
    assert_eq!(shown, "CheckedTk { tek: Tek(TdesKey(24 bytes)), auk: Auk(TdesKey(24 bytes)) } UncheckedTk");
}
