//! Work that may take for ever, given up after a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Stack of the thread that does it, bytes: only what is used is taken from memory.
const STACK: usize = 128 << 20;

/// Where the work stands: at it, finished, or given up.
const AT_WORK: usize = 0;
const FINISHED: usize = 1;
const GIVEN_UP: usize = 2;

/// Does `work` in a thread of its own, or says nothing when it panics, takes longer, or when one that took longer is
/// still at it: a thread cannot be ended from outside, so there is never more than one that nobody waits for.
pub(super) fn within<T: Send + 'static>(
    longest: Duration,
    given_up: &'static AtomicUsize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if given_up.load(Ordering::SeqCst) > 0 {
        return None;
    }
    let state = Arc::new(AtomicUsize::new(AT_WORK));
    let (finished, result) = channel();
    let end = End { state: Arc::clone(&state), given_up };
    let job = move || {
        let done = work();
        drop(end);
        // Nobody listens when it was given up.
        let _ = finished.send(done);
    };
    thread::Builder::new().name("judge".into()).stack_size(STACK).spawn(job).ok()?;
    match result.recv_timeout(longest) {
        Ok(done) => Some(done),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => {
            given_up.fetch_add(1, Ordering::SeqCst);
            if state.compare_exchange(AT_WORK, GIVEN_UP, Ordering::SeqCst, Ordering::SeqCst).is_err() {
                // It finished in this moment.
                given_up.fetch_sub(1, Ordering::SeqCst);
                return result.recv().ok();
            }
            None
        }
    }
}

/// Says that the work ended, also by a panic.
struct End {
    state: Arc<AtomicUsize>,
    given_up: &'static AtomicUsize,
}

impl Drop for End {
    fn drop(&mut self) {
        if self.state.swap(FINISHED, Ordering::SeqCst) == GIVEN_UP {
            self.given_up.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn nobody() -> &'static AtomicUsize {
        Box::leak(Box::default())
    }

    #[test]
    fn what_is_done_in_time_is_given() {
        assert_eq!(within(LONG, nobody(), || 7), Some(7));
    }

    #[test]
    fn a_panic_is_nothing() {
        assert_eq!(within(LONG, nobody(), || std::panic::resume_unwind(Box::new(7))), None::<()>);
    }

    #[test]
    fn what_takes_too_long_is_given_up_and_nothing_else_begun_until_it_ends() {
        let given_up = nobody();
        let (end, ended) = channel::<()>();
        assert_eq!(within(Duration::from_millis(20), given_up, move || ended.recv().is_ok()), None);
        assert_eq!(within(LONG, given_up, || 7), None);
        end.send(()).unwrap();
        while given_up.load(Ordering::SeqCst) > 0 {
            thread::yield_now();
        }
        assert_eq!(within(LONG, given_up, || 7), Some(7));
    }
}
