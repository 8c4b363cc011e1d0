//! The terminal's clock.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Says what time it is, rightly or not: a terminal checks dates against the later of this and its last known time.
pub trait Clock: Send + Sync {
    /// Unix seconds.
    fn now(&self) -> i64;

    /// How long this process has run, by a clock that nobody sets: what may happen only so often is counted by it.
    fn uptime(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still: for simulations, and for a terminal without one (0).
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(
    /// Unix seconds.
    pub i64,
);

impl Clock for FixedClock {
    fn now(&self) -> i64 {
        self.0
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}
