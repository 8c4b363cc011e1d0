//! How a deployment goes on: from its canary to all, or not at all. Pure: counts in, a decision out.

use store::{Deployment, DeploymentState};

/// What is to be done with a deployment after its counts have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Stay,
    /// The next stage, since this one has had its successes.
    Advance {
        /// The present stage's index.
        from: u32,
        /// The next one's.
        to: u32,
    },
    /// Stop: too many terminals report failures.
    Stop,
}

/// Decides by the deployment's counts. Only a running deployment goes on or stops.
///
/// It stops when more than `failures_percent` of the reports are failures, once there are `at_least` reports: a
/// percentage of two reports says nothing. Stopping comes before going on. Counts are those of the whole deployment, so
/// a stage's `successes` are the installations needed so far, earlier stages' included.
#[must_use]
pub fn decide(deployment: &Deployment) -> Decision {
    if deployment.state != DeploymentState::Running {
        return Decision::Stay;
    }
    let (counts, rule) = (&deployment.counts, &deployment.stop_at);
    let reports = counts.installed.saturating_add(counts.failed);
    let failures = u128::from(counts.failed) * 100;
    let tolerated = u128::from(rule.failures_percent) * u128::from(reports);
    if reports >= u64::from(rule.at_least) && failures > tolerated {
        return Decision::Stop;
    }
    let index = usize::try_from(deployment.stage).unwrap_or(usize::MAX);
    let (Some(stage), Some(next)) = (deployment.stages.get(index), deployment.stage.checked_add(1)) else {
        return Decision::Stay;
    };
    let is_last = index.saturating_add(1) >= deployment.stages.len();
    if is_last || counts.installed < u64::from(stage.successes) {
        return Decision::Stay;
    }
    Decision::Advance { from: deployment.stage, to: next }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use store::{Counts, Stage, StopRule};

    use super::*;
    use crate::tms::plan::estate;

    fn staged(stage: u32, installed: u64, failed: u64) -> Deployment {
        Deployment {
            stages: vec![
                Stage { percent: 1, successes: 3 },
                Stage { percent: 20, successes: 10 },
                Stage { percent: 100, successes: 0 },
            ],
            stage,
            stop_at: StopRule { failures_percent: 10, at_least: 4 },
            counts: Counts { offered: 100, installed, failed },
            ..estate::deployment(1, 1)
        }
    }

    #[test]
    fn a_stage_goes_on_when_it_has_its_successes_and_the_last_one_stays() {
        assert_eq!(decide(&staged(0, 2, 0)), Decision::Stay);
        assert_eq!(decide(&staged(0, 3, 0)), Decision::Advance { from: 0, to: 1 });
        assert_eq!(decide(&staged(1, 9, 0)), Decision::Stay);
        assert_eq!(decide(&staged(1, 10, 1)), Decision::Advance { from: 1, to: 2 });
        assert_eq!(decide(&staged(2, 1000, 1)), Decision::Stay);
        assert_eq!(decide(&Deployment { stages: vec![], ..staged(0, 9, 0) }), Decision::Stay);
        assert_eq!(decide(&Deployment { stage: u32::MAX, ..staged(0, 9, 0) }), Decision::Stay);
    }

    #[test]
    fn failures_past_the_threshold_stop_and_not_before_there_are_enough_reports() {
        assert_eq!(decide(&staged(0, 0, 3)), Decision::Stay, "three reports say nothing yet");
        assert_eq!(decide(&staged(0, 0, 4)), Decision::Stop);
        assert_eq!(decide(&staged(1, 9, 1)), Decision::Stay, "exactly 10 %");
        assert_eq!(decide(&staged(1, 8, 1)), Decision::Stop, "1 of 9 is more than 10 %");
        assert_eq!(decide(&staged(0, 3, 1)), Decision::Stop, "stopping comes before going on");
        let never = StopRule { failures_percent: 100, at_least: 0 };
        assert_eq!(decide(&Deployment { stop_at: never, ..staged(2, 0, 9) }), Decision::Stay);
        let any = StopRule { failures_percent: 0, at_least: 0 };
        assert_eq!(decide(&Deployment { stop_at: any, ..staged(0, 0, 0) }), Decision::Stay);
        assert_eq!(decide(&Deployment { stop_at: any, ..staged(0, 1000, 1) }), Decision::Stop);
    }

    #[test]
    fn what_is_not_running_neither_stops_nor_goes_on() {
        use DeploymentState::{Cancelled, Finished, Paused, Stopped};
        for state in [Paused, Stopped, Cancelled, Finished] {
            assert_eq!(decide(&Deployment { state, ..staged(0, 0, 9) }), Decision::Stay);
            assert_eq!(decide(&Deployment { state, ..staged(0, 9, 0) }), Decision::Stay);
        }
    }

    proptest! {
        /// No counts, however strange, lead past the last stage, over a stage, or to a panic.
        #[test]
        fn a_decision_is_one_step_or_an_end(stage in 0_u32..6, installed: u64, failed: u64, percent: u8, at_least: u32) {
            let rule = StopRule { failures_percent: percent, at_least };
            let deployment = Deployment { stop_at: rule, ..staged(stage, installed, failed) };
            match decide(&deployment) {
                Decision::Advance { from, to } => {
                    prop_assert_eq!((from, to), (stage, stage + 1));
                    prop_assert!(to < 3);
                }
                Decision::Stop => prop_assert!(failed > 0),
                Decision::Stay => {}
            }
        }
    }
}
