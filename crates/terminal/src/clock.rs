//! The terminal's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Says what time it is, rightly or not: a terminal checks dates against the later of this and its last known time.
pub trait Clock: Send + Sync {
    /// Unix seconds.
    fn now(&self) -> i64;

    /// How long the machine has run, by a clock that nobody sets: what may happen only so often is counted by it, over
    /// processes too. Never more than it has run.
    fn uptime(&self) -> Duration {
        machine_uptime()
    }
}

#[cfg(target_os = "linux")]
fn machine_uptime() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
}

/// Where the system does not say, the process's.
#[cfg(not(target_os = "linux"))]
fn machine_uptime() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that begins is not a machine that begins.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_uptime_is_the_machines_and_goes_on() {
        let before = SystemClock.uptime();
        let seconds: f64 = std::fs::read_to_string("/proc/uptime")
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!((seconds - before.as_secs_f64()).abs() < 60.0, "{seconds} {before:?}");
        assert!(SystemClock.uptime() >= before);
    }
}
