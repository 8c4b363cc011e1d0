//! A hook for tests of who makes keys: one thread's source gets stuck (R5), the others' do not.

use std::cell::RefCell;

use super::{Source, Tested};
use crate::Error;

/// Gives the same byte for ever.
struct Constant;

impl Source for Constant {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        out.fill(0x5A);
        Ok(())
    }
}

thread_local! {
    static SOURCE: RefCell<Option<Tested<Constant>>> = const { RefCell::new(None) };
}

/// While it lives, this thread's random source is stuck.
pub struct Stuck(());

impl Stuck {
    /// Sticks this thread's source.
    #[must_use]
    pub fn this_thread() -> Self {
        SOURCE.with(|source| source.replace(Some(Tested::new(Constant))));
        Self(())
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        SOURCE.with(|source| source.replace(None));
    }
}

/// What the stuck source gives, where this thread's is stuck.
pub(super) fn fill(out: &mut [u8]) -> Option<Result<(), Error>> {
    SOURCE.with(|source| source.borrow().as_ref().map(|stuck| stuck.fill(out)))
}
