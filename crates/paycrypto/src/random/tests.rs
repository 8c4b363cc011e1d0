use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::hygiene::{SEMI_WEAK, WEAK};
use crate::{TdesKey, TdesLength, digest};

/// Bytes that look random: SHA-256 of how often it was called.
#[derive(Default)]
struct Counted(AtomicU64);

impl Counted {
    fn next(&self) -> (u64, [u8; 32]) {
        let call = self.0.fetch_add(1, Ordering::SeqCst);
        (call, digest::sha256(&call.to_be_bytes()))
    }
}

struct Constant(u8);
impl Source for Constant {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        out.fill(self.0);
        Ok(())
    }
}

/// Good for some blocks, then one block again and again, then good.
struct StuckAt {
    good: Counted,
    from: u64,
    to: u64,
}
impl Source for StuckAt {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        let (call, block) = self.good.next();
        let stuck = digest::sha256(b"stuck");
        out.copy_from_slice(if (self.from..self.to).contains(&call) { &stuck } else { &block });
        Ok(())
    }
}

/// Five bits of every byte are stuck: 8 values are left, each one too often.
struct StuckBits(Counted);
impl Source for StuckBits {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        out.copy_from_slice(&self.0.next().1.map(|byte| byte | 0xF4));
        Ok(())
    }
}

struct Gone;
impl Source for Gone {
    fn fill(&self, _: &mut [u8]) -> Result<(), Error> {
        Err(Error::RandomUnavailable)
    }
}

/// Every key's parts are equal.
struct EqualParts(Counted);
impl Source for EqualParts {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        let (_, block) = self.0.next();
        for part in out.chunks_mut(8) {
            part.copy_from_slice(&block[..8]);
        }
        Ok(())
    }
}

/// Once the start-up test is done, one poor key, then good ones.
struct PoorFirst {
    good: Counted,
    poor: [u8; 32],
}
impl Source for PoorFirst {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        let (call, block) = self.good.next();
        out.copy_from_slice(if call == START_UP_BLOCKS { &self.poor } else { &block });
        Ok(())
    }
}

/// Blocks that the start-up test draws.
const START_UP_BLOCKS: u64 = 32;

#[test]
fn r5_a_stuck_source_makes_no_key_from_the_start() {
    for byte in [0, 0x5A, 0xFF] {
        let source = Tested::new(Constant(byte));
        assert_eq!(source.fill(&mut [0; 8]), Err(Error::RandomStuck));
        let key = TdesKey::generate_from(TdesLength::Triple, &source);
        assert_eq!(key.err(), Some(Error::RandomStuck));
    }
}

#[test]
fn r5_a_source_with_stuck_bits_makes_no_key() {
    let source = Tested::new(StuckBits(Counted::default()));
    assert_eq!(source.fill(&mut [0; 8]), Err(Error::RandomStuck), "at start-up");
    assert!(source.source.0.0.load(Ordering::SeqCst) <= 16, "in the first window already");
}

#[test]
fn r5_a_source_that_sticks_later_is_found_and_never_trusted_again() {
    let (from, to) = (START_UP_BLOCKS + 3, START_UP_BLOCKS + 6);
    let source = Tested::new(StuckAt { good: Counted::default(), from, to });
    let mut out = [0; 64];
    assert_eq!(source.fill(&mut out), Ok(()));
    assert_eq!(source.fill(&mut out), Ok(()), "one block of it is no repetition yet");
    let mut out = [1; 64];
    assert_eq!(source.fill(&mut out), Err(Error::RandomStuck));
    assert_eq!(out, [0; 64], "nothing of a bad source gets out");
    for _ in 0..8 {
        assert_eq!(source.fill(&mut out), Err(Error::RandomStuck), "stuck stays stuck");
    }
}

#[test]
fn r5_a_long_output_that_repeats_inside_is_refused() {
    let from = START_UP_BLOCKS + 1;
    let source = Tested::new(StuckAt { good: Counted::default(), from, to: from + 3 });
    assert_eq!(source.fill(&mut [0; 128]), Err(Error::RandomStuck));
}

#[test]
fn r5_what_the_start_up_test_draws_is_used_for_nothing() {
    let source = Tested::new(StuckAt { good: Counted::default(), from: 0, to: 0 });
    let mut out = [0; 32];
    source.fill(&mut out).unwrap();
    assert_eq!(out, digest::sha256(&START_UP_BLOCKS.to_be_bytes()));
}

#[test]
fn r5_no_random_numbers_no_key() {
    let source = Tested::new(Gone);
    assert_eq!(source.fill(&mut [0; 8]), Err(Error::RandomUnavailable));
    let key = TdesKey::generate_from(TdesLength::Double, &source);
    assert_eq!(key.err(), Some(Error::RandomUnavailable));
}

#[test]
fn a_source_of_poor_keys_ends_in_a_named_error_and_not_in_a_loop() {
    for length in [TdesLength::Double, TdesLength::Triple] {
        let source = Tested::new(EqualParts(Counted::default()));
        assert_eq!(TdesKey::generate_from(length, &source).err(), Some(Error::RandomPoor));
    }
}

/// Each weak and semi-weak key in each part of a key, whatever its parity bits: made again.
#[test]
fn r6_no_weak_or_semi_weak_part_is_ever_generated() {
    for weak in WEAK.into_iter().chain(SEMI_WEAK) {
        for (length, parts) in [(TdesLength::Double, 2), (TdesLength::Triple, 3)] {
            for part in 0..parts {
                for parity in [0, 0x0101_0101_0101_0101_u64] {
                    let mut poor = digest::sha256(b"otherwise good");
                    poor[8 * part..8 * part + 8].copy_from_slice(&(weak ^ parity).to_be_bytes());
                    let source = Tested::new(PoorFirst { good: Counted::default(), poor });
                    let key = TdesKey::generate_from(length, &source).unwrap();
                    assert!(!key.quality().is_poor());
                    let calls = source.source.good.0.load(Ordering::SeqCst);
                    assert_eq!(calls, START_UP_BLOCKS + 2, "{weak:016X} in part {part}: made again");
                }
            }
        }
    }
}

#[test]
fn the_system_gives_different_bytes() {
    let (mut a, mut b) = ([0; 33], [0; 33]);
    fill(&mut a).unwrap();
    fill(&mut b).unwrap();
    assert_ne!(a, b);
}
