//! Whom a deployment reaches by now, and at which time of day.

use std::cmp::Ordering;

use sha2::{Digest, Sha256};
use store::{Deployment, Window};
use wire::Serial;

/// Bucket numbers: hundredths of a percent.
const BUCKETS: u64 = 10_000;
const MINUTES_A_DAY: i64 = 24 * 60;

/// Which of the 10 000 buckets a terminal is in for a deployment: evenly spread, and another one in each deployment, so
/// that it is not always the same terminals that try first.
#[must_use]
pub fn bucket(deployment: i64, sn: &Serial) -> u64 {
    let digest = Sha256::new().chain_update(deployment.to_be_bytes()).chain_update(sn.as_str()).finalize();
    let first = digest.first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first));
    first % BUCKETS
}

/// The share of terminals that a deployment is open for at its present stage, percent.
#[must_use]
pub fn percent(deployment: &Deployment) -> u8 {
    let stage = usize::try_from(deployment.stage).unwrap_or(usize::MAX);
    deployment.stages.get(stage).or(deployment.stages.last()).map_or(100, |stage| stage.percent)
}

/// Whether a deployment has come to this terminal at its present stage. A later stage reaches all that an earlier one
/// did.
#[must_use]
pub fn is_reached(deployment: &Deployment, sn: &Serial) -> bool {
    bucket(deployment.id, sn) < u64::from(percent(deployment)) * (BUCKETS / 100)
}

/// Whether a daily window is open at `now`. One that begins when it ends is the whole day; one may pass midnight.
#[must_use]
pub fn in_window(window: &Window, now: i64) -> bool {
    let minute = (now.div_euclid(60_000) + i64::from(window.utc_offset_minutes)).rem_euclid(MINUTES_A_DAY);
    let (start, end) = (i64::from(window.start_minute), i64::from(window.end_minute));
    match start.cmp(&end) {
        Ordering::Less => (start..end).contains(&minute),
        Ordering::Equal => true,
        Ordering::Greater => minute >= start || minute < end,
    }
}
