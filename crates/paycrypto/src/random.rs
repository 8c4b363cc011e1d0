//! The operating system's random numbers behind a continuous health test (R5 of 4-requirements.md).
//!
//! Every output is drawn in blocks of 32 bytes. A block that equals the one before shows a stuck source;
//! from then on everything is refused: no key is better than a known one. The test keeps only a SHA-256
//! value of the block before, so it holds no key. RSA and P-256 keys, OAEP and GCM nonces come from aws-lc's own
//! generator, which is seeded by the operating system and has its own tests.

use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::{Error, digest};

/// Size of the blocks that the health test compares, in bytes.
const TEST_BLOCK: usize = 32;

/// Where random bytes come from.
pub trait Source {
    /// Fills all of `out`, or says that there are no random numbers.
    ///
    /// # Errors
    /// [`Error::RandomUnavailable`].
    fn fill(&self, out: &mut [u8]) -> Result<(), Error>;
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsSource;

impl Source for OsSource {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        getrandom::fill(out).map_err(|_| Error::RandomUnavailable)
    }
}

/// What the health test has seen.
enum Health {
    Untested,
    Last([u8; digest::SHA256]),
    Stuck,
}

/// A source behind the health test: at start-up and at every block.
pub struct Tested<S> {
    source: S,
    health: Mutex<Health>,
}

impl<S: Source> Tested<S> {
    /// Puts the health test before `source`.
    pub const fn new(source: S) -> Self {
        Self { source, health: Mutex::new(Health::Untested) }
    }

    /// Fills `out` with random bytes.
    ///
    /// # Errors
    /// [`Error::RandomStuck`] when a block repeats, and ever after; [`Error::RandomUnavailable`]. On an
    /// error `out` is all zeros.
    pub fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        let filled = self.fill_tested(out);
        if filled.is_err() {
            out.fill(0);
        }
        filled
    }

    fn fill_tested(&self, out: &mut [u8]) -> Result<(), Error> {
        let mut health = self.health();
        if matches!(*health, Health::Untested) {
            self.block(&mut health)?; // the start-up test: the first output is compared with one before it
        }
        for piece in out.chunks_mut(TEST_BLOCK) {
            let block = self.block(&mut health)?;
            for (to, from) in piece.iter_mut().zip(block.iter()) {
                *to = *from;
            }
        }
        Ok(())
    }

    fn block(&self, health: &mut Health) -> Result<Zeroizing<[u8; TEST_BLOCK]>, Error> {
        let mut block = Zeroizing::new([0; TEST_BLOCK]);
        self.source.fill(block.as_mut_slice())?;
        let seen = digest::sha256(block.as_slice());
        *health = match health {
            Health::Stuck => Health::Stuck,
            Health::Last(before) if *before == seen => Health::Stuck,
            Health::Last(_) | Health::Untested => Health::Last(seen),
        };
        if matches!(health, Health::Stuck) { Err(Error::RandomStuck) } else { Ok(block) }
    }

    /// A panic elsewhere while the lock was held leaves a value that is still whole.
    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static OS: Tested<OsSource> = Tested::new(OsSource);

/// The one tested generator of this process.
pub fn os() -> &'static Tested<OsSource> {
    &OS
}

/// Draws one block and forgets it: for keys that a library makes with a generator of its own, which the same source
/// seeds.
///
/// # Errors
/// As [`Tested::fill`].
pub(crate) fn check() -> Result<(), Error> {
    let mut block = Zeroizing::new([0; TEST_BLOCK]);
    OS.fill(&mut *block)
}

/// Fills `out` from the process's tested generator: challenges, contexts, keys.
///
/// # Errors
/// As [`Tested::fill`].
pub fn fill(out: &mut [u8]) -> Result<(), Error> {
    OS.fill(out)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;
    use crate::{TdesKey, TdesLength};

    struct Constant(u8);
    impl Source for Constant {
        fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
            out.fill(self.0);
            Ok(())
        }
    }

    /// Good for some blocks, then stuck, then good again.
    struct StuckAt {
        calls: AtomicU8,
        from: u8,
        to: u8,
    }
    impl Source for StuckAt {
        fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
            let call = self.calls.fetch_add(1, Ordering::SeqCst);
            out.fill(if (self.from..self.to).contains(&call) { 0xA5 } else { call });
            Ok(())
        }
    }

    struct Gone;
    impl Source for Gone {
        fn fill(&self, _: &mut [u8]) -> Result<(), Error> {
            Err(Error::RandomUnavailable)
        }
    }

    /// Never repeats a block, but every 8-byte part of a block is the same: only poor keys.
    struct EqualParts(AtomicU8);
    impl Source for EqualParts {
        fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
            out.fill(self.0.fetch_add(1, Ordering::SeqCst));
            Ok(())
        }
    }

    #[test]
    fn a_stuck_source_makes_no_key_from_the_start() {
        let source = Tested::new(Constant(0x5A));
        assert_eq!(source.fill(&mut [0; 8]), Err(Error::RandomStuck));
        let key = TdesKey::generate_from(TdesLength::Triple, &source);
        assert_eq!(key.err(), Some(Error::RandomStuck));
    }

    #[test]
    fn a_source_that_sticks_later_is_found_and_never_trusted_again() {
        let source = Tested::new(StuckAt { calls: AtomicU8::new(0), from: 5, to: 8 });
        let mut out = [0; 64];
        assert_eq!(source.fill(&mut out), Ok(()));
        assert_eq!(source.fill(&mut out), Ok(()), "one block of a constant is no repetition yet");
        let mut out = [1; 64];
        assert_eq!(source.fill(&mut out), Err(Error::RandomStuck));
        assert_eq!(out, [0; 64], "nothing of a bad source gets out");
        assert_eq!(source.fill(&mut out), Err(Error::RandomStuck));
        for _ in 0..8 {
            assert_eq!(source.fill(&mut out), Err(Error::RandomStuck), "stuck stays stuck");
        }
    }

    #[test]
    fn a_long_output_that_repeats_inside_is_refused() {
        let source = Tested::new(StuckAt { calls: AtomicU8::new(0), from: 2, to: 9 });
        assert_eq!(source.fill(&mut [0; 128]), Err(Error::RandomStuck));
    }

    #[test]
    fn no_random_numbers_no_key() {
        let source = Tested::new(Gone);
        assert_eq!(source.fill(&mut [0; 8]), Err(Error::RandomUnavailable));
        let key = TdesKey::generate_from(TdesLength::Double, &source);
        assert_eq!(key.err(), Some(Error::RandomUnavailable));
    }

    #[test]
    fn a_source_of_poor_keys_ends_in_a_named_error_and_not_in_a_loop() {
        for length in [TdesLength::Double, TdesLength::Triple] {
            let source = Tested::new(EqualParts(AtomicU8::new(0)));
            assert_eq!(TdesKey::generate_from(length, &source).err(), Some(Error::RandomPoor));
        }
    }

    #[test]
    fn the_system_gives_different_bytes() {
        let (mut a, mut b) = ([0; 33], [0; 33]);
        fill(&mut a).unwrap();
        fill(&mut b).unwrap();
        assert_ne!(a, b);
    }
}
