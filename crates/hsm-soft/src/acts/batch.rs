//! Commands of many items.

use std::{panic, thread};

use hsm::{Refusal, commands::MAX_ITEMS};

use crate::stack;

/// From how many items on a second thread is worth starting: what it costs is that of some ten items.
const WORTH_SPLITTING: usize = 64;

/// Refuses no items, and more than one command takes.
pub(super) fn check_count(items: usize) -> Result<(), Refusal> {
    if (1..=MAX_ITEMS).contains(&items) {
        return Ok(());
    }
    Err(Refusal::Malformed { what: format!("{items} items: one command takes 1 to {MAX_ITEMS}") })
}

/// What `work` gives for all items, in order: a big batch as two halves, side by side.
pub(super) fn in_halves<T: Sync, R: Send>(items: &[T], work: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<R> {
    if items.len() < WORTH_SPLITTING {
        return work(items);
    }
    let (first, second) = items.split_at(items.len() / 2);
    thread::scope(|scope| {
        // Where no thread is to be had, this one does both.
        let help = || {
            let results = work(second);
            stack::wipe();
            results
        };
        let Ok(helper) = thread::Builder::new().spawn_scoped(scope, help) else {
            return work(items);
        };
        let mut results = work(first);
        results.extend(helper.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)));
        results
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for count in [0, 1, 63, 64, 65, 1024] {
            let items: Vec<_> = (0..count).collect();
            let doubled = in_halves(&items, |some| some.iter().map(|item| item * 2).collect());
            assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_batch_of_the_most_items_passes_and_one_past_it_or_an_empty_one_is_refused() {
        assert_eq!(check_count(1), Ok(()));
        assert_eq!(check_count(MAX_ITEMS), Ok(()));
        for count in [0, MAX_ITEMS + 1] {
            assert!(matches!(check_count(count), Err(Refusal::Malformed { .. })), "{count}");
        }
    }
}
