//! The health tests of a random source: SP 800-90B section 4.4 over bytes, and blocks that repeat.

use crate::digest;

/// Bytes that the start-up test draws and drops (SP 800-90B section 4.3: at least 1 024 samples).
const START_UP: usize = 1024;

/// So many equal bytes in a row fail the repetition count test (SP 800-90B section 4.4.1): 1 + ⌈64 / 8⌉, for samples of 8
/// bits that are to have 8 bits of entropy, and a false alarm in 2^64. The standard proposes 2^-20 to 2^-40; a
/// server that makes keys for years would see such an alarm, and an alarm here ends it.
const REPETITIONS: u16 = 9;

/// Bytes of a window of the adaptive proportion test (SP 800-90B section 4.4.2: 512 for samples that are not binary).
const WINDOW: u16 = 512;

/// So many bytes of a window that equal its first one fail the adaptive proportion test: the smallest number that 512
/// good bytes reach with a probability below 2^-64 (binomial, p = 2^-8: 2^-65.9; 25 have 2^-62.2).
const PROPORTION: u16 = 26;

/// What the tests have seen.
pub(super) struct Health {
    /// Bytes that the start-up test still wants.
    wanted: usize,
    /// The last byte, and how often it came in a row.
    repeated: (u8, u16),
    /// The first byte of the window, how often it came, and how many bytes the window has.
    window: (u8, u16, u16),
    /// SHA-256 of the block before.
    before: Option<[u8; digest::SHA256]>,
    failed: bool,
}

impl Health {
    pub(super) const fn new() -> Self {
        Self { wanted: START_UP, repeated: (0, 0), window: (0, 0, WINDOW), before: None, failed: false }
    }

    /// Whether the start-up test is not done yet.
    pub(super) fn is_starting(&self) -> bool {
        self.wanted > 0
    }

    /// Whether a block passes all tests. Once one has not, none does.
    pub(super) fn passes(&mut self, block: &[u8]) -> bool {
        let seen = digest::sha256(block);
        self.failed |= self.before == Some(seen);
        self.before = Some(seen);
        for byte in block {
            self.failed |= self.repeats(*byte) | self.is_too_frequent(*byte);
        }
        self.wanted = self.wanted.saturating_sub(block.len());
        !self.failed
    }

    /// The repetition count test.
    fn repeats(&mut self, byte: u8) -> bool {
        let (last, times) = self.repeated;
        let times = if byte == last { times.saturating_add(1) } else { 1 };
        self.repeated = (byte, times);
        times >= REPETITIONS
    }

    /// The adaptive proportion test.
    fn is_too_frequent(&mut self, byte: u8) -> bool {
        let (first, times, length) = self.window;
        self.window = match length {
            WINDOW.. => (byte, 1, 1),
            _ => (first, times + u16::from(byte == first), length + 1),
        };
        self.window.1 >= PROPORTION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of a counter: good enough for tests that look at bytes.
    fn good(blocks: u64) -> impl Iterator<Item = [u8; 32]> {
        (0..blocks).map(|number| digest::sha256(&number.to_be_bytes()))
    }

    #[test]
    fn r5_a_good_source_passes_eight_mebibytes() {
        let mut health = Health::new();
        assert!(good(1 << 18).all(|block| health.passes(&block)));
        assert!(!health.is_starting());
    }

    #[test]
    fn r5_the_start_up_test_takes_1024_samples() {
        let mut health = Health::new();
        for (number, block) in (1..).zip(good(33)) {
            assert!(health.passes(&block));
            assert_eq!(health.is_starting(), number < 32, "after {number} blocks");
        }
    }

    #[test]
    fn r5_the_repetition_count_test_fails_at_its_cutoff_and_not_before() {
        for (equal, passes) in [(8, true), (9, false)] {
            let mut block = digest::sha256(b"a block");
            block.iter_mut().skip(11).take(equal).for_each(|byte| *byte = 0x5A);
            assert_eq!(Health::new().passes(&block), passes, "{equal} equal bytes");
            // Over the end of a block too.
            let (mut left, mut right) = (digest::sha256(b"left"), digest::sha256(b"right"));
            left.iter_mut().rev().take(4).for_each(|byte| *byte = 0x5A);
            right.iter_mut().take(equal - 4).for_each(|byte| *byte = 0x5A);
            let mut health = Health::new();
            assert!(health.passes(&left));
            assert_eq!(health.passes(&right), passes, "{equal} equal bytes in two blocks");
        }
    }

    #[test]
    fn r5_the_adaptive_proportion_test_fails_at_its_cutoff_and_not_before() {
        for (frequent, passes) in [(25, true), (26, false)] {
            // A window of 512 bytes without its first one, but where it is put: at every 19th place.
            let mut window: Vec<u8> = good(32).flatten().map(|byte| byte | 1).collect();
            window.iter_mut().step_by(19).take(frequent).for_each(|byte| *byte = 0x5A);
            let mut health = Health::new();
            let all = window.chunks(32).map(|block| health.passes(block)).fold(true, |all, one| all & one);
            assert_eq!(all, passes, "{frequent} of 512");
        }
    }

    #[test]
    fn r5_a_window_ends_and_another_begins() {
        // Each window has one byte 24 times, another one in the next: as one window it would be too many.
        let mut health = Health::new();
        for window in 0..8_u8 {
            let mut bytes: Vec<u8> = good(16).flatten().map(|byte| byte | 1).collect();
            bytes.iter_mut().step_by(21).take(24).for_each(|byte| *byte = window * 2);
            bytes[1] ^= window << 4; // no two blocks are the same
            assert!(bytes.chunks(32).enumerate().all(|(number, block)| {
                let mut block = block.to_vec();
                block[31] = window << 4 | u8::try_from(number).unwrap() | 1;
                health.passes(&block)
            }));
        }
    }

    #[test]
    fn r5_what_failed_once_has_failed() {
        let mut health = Health::new();
        let mut blocks = good(40);
        assert!(health.passes(&blocks.next().unwrap()));
        assert!(!health.passes(&[7; 32]));
        assert!(blocks.all(|block| !health.passes(&block)));
    }
}
