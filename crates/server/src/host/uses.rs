//! How often each working key was used, between two writes to the store.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Counts by the key's number in the store.
#[derive(Default)]
pub(super) struct Uses(Mutex<HashMap<i64, u64>>);

/// The counts, held for one batch: one lock for all of its items.
pub(super) struct Counting<'a>(MutexGuard<'a, HashMap<i64, u64>>);

impl Uses {
    /// Counts for one batch.
    pub(super) fn count(&self) -> Counting<'_> {
        // Nothing in the critical sections can leave the counts half changed.
        Counting(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was counted since the last time.
    pub(super) fn take(&self) -> Vec<(i64, u64)> {
        std::mem::take(&mut *self.count().0).into_iter().collect()
    }

    /// What could not be written.
    pub(super) fn put_back(&self, counted: &[(i64, u64)]) {
        let mut counts = self.count();
        for (key, uses) in counted {
            *counts.0.entry(*key).or_default() += uses;
        }
    }
}

impl Counting<'_> {
    /// One use more, if `most` allows it beside those that the store knows.
    pub(super) fn one_more(&mut self, key: i64, stored: u64, most: u64) -> bool {
        let unwritten = self.0.entry(key).or_default();
        if stored.saturating_add(*unwritten) >= most {
            return false;
        }
        *unwritten += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_knows_and_what_it_does_not_know_yet_count_together() {
        let uses = Uses::default();
        assert!(uses.count().one_more(1, 3, 5));
        assert!(uses.count().one_more(1, 3, 5));
        assert!(!uses.count().one_more(1, 3, 5), "the sixth");
        assert!(uses.count().one_more(2, 0, 1), "another key");
        let mut taken = uses.take();
        taken.sort_unstable();
        assert_eq!(taken, [(1, 2), (2, 1)]);
        assert!(uses.take().is_empty());
        uses.put_back(&taken);
        assert!(!uses.count().one_more(1, 3, 5), "what was not written is not forgotten");
        assert!(uses.count().one_more(1, 2, 5));
    }
}
