//! The operating system's random numbers behind health tests, at start-up and continuous (R5 of 4-requirements.md).
//!
//! Every output is drawn in blocks of 32 bytes, and every byte of it goes through the two tests of SP 800-90B section
//! 4.4; a block that equals the one before is a third sign. From the first failure on everything is refused: no key is
//! better than a known one. Of what was drawn the tests keep two bytes and a SHA-256 value of a block, so they hold no
//! key. RSA and P-256 keys, OAEP and GCM nonces come from aws-lc's own generator, which is seeded by the operating
//! system and has its own tests; before such a key is made, this source must still be good.
//!
//! The standard means these tests for a noise source, and this is the output of a generator that one feeds: what they
//! find here is a source that is stuck, stuck in some bits or badly biased, by a broken system or by somebody's hook. A
//! generator whose seed is known passes them; nothing that looks at output alone finds that.

mod health;
#[cfg(feature = "stuck-source")]
mod stuck;

use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::Error;
use health::Health;

#[cfg(feature = "stuck-source")]
pub use stuck::Stuck;

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

/// A source behind the health tests: at start-up and at every block.
pub struct Tested<S> {
    source: S,
    health: Mutex<Health>,
}

impl<S: Source> Tested<S> {
    /// Puts the health tests before `source`.
    pub const fn new(source: S) -> Self {
        Self { source, health: Mutex::new(Health::new()) }
    }

    /// Fills `out` with random bytes.
    ///
    /// # Errors
    /// [`Error::RandomStuck`] when a health test fails, and ever after; [`Error::RandomUnavailable`]. On an error `out`
    /// is all zeros.
    pub fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        let filled = self.fill_tested(out);
        if filled.is_err() {
            out.fill(0);
        }
        filled
    }

    fn fill_tested(&self, out: &mut [u8]) -> Result<(), Error> {
        let mut health = self.health();
        while health.is_starting() {
            self.block(&mut health)?; // the start-up test: what is drawn for it is used for nothing
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
        if health.passes(&*block) { Ok(block) } else { Err(Error::RandomStuck) }
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
    fill(&mut *block)
}

/// Fills `out` from the process's tested generator: challenges, contexts, keys.
///
/// # Errors
/// As [`Tested::fill`].
pub fn fill(out: &mut [u8]) -> Result<(), Error> {
    #[cfg(feature = "stuck-source")]
    if let Some(filled) = stuck::fill(out) {
        return filled;
    }
    OS.fill(out)
}

#[cfg(test)]
mod tests;
