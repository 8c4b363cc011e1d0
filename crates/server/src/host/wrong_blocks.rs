//! How many wrong PIN blocks each PIK has had: a terminal and its host hardly ever disagree, and who tries one captured
//! block with many PANs learns from which of them fit something of its PIN (Clulow 2003, formats 0 and 3). After so many
//! the key is stopped, for right blocks too, and only the terminal itself gets another one.
//!
//! An outcome is judged when it is told, not when it is asked for: whatever a batch or requests at once hold, no more
//! than the limit is told of one key.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Keys with wrong blocks that are remembered. When there are more, those with a single one are forgotten, or all.
const MAX_KEYS: usize = 65_536;

/// Counts by the key's number in the store. They live as long as the server; a key that was stopped is gone for good.
#[derive(Default)]
pub(super) struct WrongBlocks(Mutex<HashMap<i64, u32>>);

/// The counts, held while the outcomes of one request are judged.
pub(super) struct Judging<'a> {
    counts: MutexGuard<'a, HashMap<i64, u32>>,
    most: u32,
}

impl WrongBlocks {
    /// Judges outcomes; a key has at most `most` wrong blocks, 0 sets no limit.
    pub(super) fn judge(&self, most: u32) -> Judging<'_> {
        // Nothing in the critical sections can leave the counts half changed.
        Judging { counts: self.0.lock().unwrap_or_else(PoisonError::into_inner), most }
    }
}

impl Judging<'_> {
    /// Whether this key is to be used no more.
    pub(super) fn is_stopped(&self, key: i64) -> bool {
        self.most > 0 && self.counts.get(&key).is_some_and(|wrong| *wrong >= self.most)
    }

    /// Counts one more wrong block.
    pub(super) fn wrong(&mut self, key: i64) {
        if self.most == 0 {
            return;
        }
        if self.counts.len() >= MAX_KEYS && !self.counts.contains_key(&key) {
            self.counts.retain(|_, wrong| *wrong > 1);
            if self.counts.len() >= MAX_KEYS {
                self.counts.clear();
            }
        }
        let wrong = self.counts.entry(key).or_default();
        *wrong = wrong.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stops_at_its_limit_and_no_other_with_it() {
        let wrong = WrongBlocks::default();
        wrong.judge(2).wrong(1);
        assert!(!wrong.judge(2).is_stopped(1));
        wrong.judge(2).wrong(1);
        assert!(wrong.judge(2).is_stopped(1));
        assert!(!wrong.judge(2).is_stopped(2));
        wrong.judge(0).wrong(2);
        assert!(!wrong.judge(0).is_stopped(1), "no limit");
        assert!(wrong.0.lock().unwrap().len() == 1, "and nothing is counted");
    }

    #[test]
    fn memory_is_bounded_and_what_was_stopped_stays_stopped() {
        let wrong = WrongBlocks::default();
        let mut judging = wrong.judge(2);
        judging.wrong(-1);
        judging.wrong(-1);
        for key in 0..i64::try_from(MAX_KEYS).unwrap() + 10 {
            judging.wrong(key);
        }
        assert!(judging.counts.len() <= MAX_KEYS);
        assert!(judging.is_stopped(-1));
    }
}
