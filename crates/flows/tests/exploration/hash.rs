//! Tables that are quick in a build without optimisation, where the standard hash takes most of an exploration's time.
//! Nobody chooses what is in them to make them slow.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasherDefault, Hasher},
};

/// A table.
pub(crate) type Map<K, V> = HashMap<K, V, BuildHasherDefault<Fold>>;
/// A table of keys alone.
pub(crate) type Set<K> = HashSet<K, BuildHasherDefault<Fold>>;

/// 2⁶⁴ divided by the golden ratio: odd, and its bits follow no pattern.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// Folds each word in with one multiplication.
#[derive(Default)]
pub(crate) struct Fold(u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        // The low bits of a product say least.
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.write_u64(u64::from_le_bytes(*word)));
        rest.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }
}
