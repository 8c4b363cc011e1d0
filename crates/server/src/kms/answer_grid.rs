//! When a peer that has proved nothing is answered.
//!
//! A known serial costs more work than an unknown one: database rows, key blocks, at the first download an RSA
//! operation. Who measures would learn which serials exist (2-wire.md section 8, "A stranger learns nothing about
//! serials"). So such answers leave at the next line of a grid that begins when the question came: the work's length
//! does not show unless it is longer than a whole mesh, and then only in meshes.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Width of a mesh: several times an RSA-2048 operation with its database read, and short beside any network.
const MESH: Duration = Duration::from_millis(3);

/// A grid that begins now.
pub(crate) struct AnswerGrid(Instant);

impl AnswerGrid {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    /// Waits for the next line.
    pub(crate) async fn next(self) {
        sleep_until(self.0 + next_line(self.0.elapsed())).await;
    }
}

fn next_line(elapsed: Duration) -> Duration {
    let meshes = elapsed.as_nanos() / MESH.as_nanos() + 1;
    MESH.saturating_mul(u32::try_from(meshes).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_any_length_within_a_mesh_is_answered_at_the_same_time() {
        for micros in [0, 90, 175, 953, 2_999] {
            assert_eq!(next_line(Duration::from_micros(micros)), MESH);
        }
        assert_eq!(next_line(Duration::from_micros(3_001)), 2 * MESH);
        assert!(next_line(Duration::from_secs(3_600)) > Duration::from_secs(3_600));
    }
}
