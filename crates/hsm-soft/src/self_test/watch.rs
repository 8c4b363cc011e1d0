//! The self-tests of a running HSM, and its error state.

use std::{
    path::PathBuf,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hsm::Refusal;

use super::{KnownAnswer, binary::Binary, known_answers, run_these};
use crate::HsmSoftError;

/// From one run of all tests to the next.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// How long past its time a run may be late: nobody runs them then, and nothing is known any more.
const GRACE: Duration = Duration::from_secs(3600);
/// What failed when the program's file is not as it was.
const PROGRAM: &str = "integrity of the program's file";
/// What failed when nobody ran the tests.
const LATE: &str = "they were not run for more than 24 hours";

/// Runs the self-tests at the start and every 24 hours. The first failure is the error state, and there is no way out
/// of it but another process.
pub(crate) struct Watch {
    answers: Vec<KnownAnswer>,
    binary: Binary,
    started: Instant,
    /// When all tests last passed, in milliseconds after the start.
    passed: AtomicU64,
    failed: OnceLock<&'static str>,
    #[cfg(test)]
    ahead: AtomicU64,
}

impl Watch {
    /// Runs all tests for the first time.
    pub(crate) fn start() -> Result<Self, HsmSoftError> {
        let unreadable = |source| HsmSoftError::File { path: PathBuf::from("/proc/self/exe"), source };
        Self::over(known_answers(), Binary::running().map_err(unreadable)?)
    }

    fn over(answers: Vec<KnownAnswer>, binary: Binary) -> Result<Self, HsmSoftError> {
        run_these(&answers)?;
        Ok(Self {
            answers,
            binary,
            started: Instant::now(),
            passed: AtomicU64::new(0),
            failed: OnceLock::new(),
            #[cfg(test)]
            ahead: AtomicU64::new(0),
        })
    }

    /// Refuses in the error state, and when the tests are too late.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        match self.failure() {
            None => Ok(()),
            Some(test) => Err(Refusal::OutOfService { why: format!("self-test failed: {test}") }),
        }
    }

    /// What failed.
    pub(crate) fn failure(&self) -> Option<&'static str> {
        if self.since_passed() > EVERY + GRACE {
            return Some(self.failed.get_or_init(|| LATE));
        }
        self.failed.get().copied()
    }

    /// Runs all tests where it is time.
    pub(crate) fn run_if_due(&self) {
        if self.since_passed() < EVERY || self.failure().is_some() {
            return;
        }
        let failed = match run_these(&self.answers) {
            Err(HsmSoftError::SelfTest(name)) => Some(name),
            Err(_) => Some("known answers"),
            Ok(()) => (!self.binary.is_unchanged()).then_some(PROGRAM),
        };
        match failed {
            Some(test) => {
                self.failed.get_or_init(|| test);
            }
            None => self.passed.store(self.now(), Ordering::Release),
        }
    }

    fn since_passed(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.passed.load(Ordering::Acquire)))
    }

    /// Milliseconds after the start.
    fn now(&self) -> u64 {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        #[cfg(test)]
        let elapsed = elapsed + self.ahead.load(Ordering::Acquire);
        elapsed
    }

    /// Moves the clock on.
    #[cfg(test)]
    pub(crate) fn pass_time(&self, time: Duration) {
        self.ahead.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::AcqRel);
    }

    /// Makes the next run fail, as a broken algorithm would.
    #[cfg(test)]
    pub(crate) fn break_an_answer(&mut self) {
        self.answers.push(KnownAnswer { name: "a broken one", answer: || None, known: "" });
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::atomic::AtomicUsize};

    use super::*;

    const SOON: Duration = Duration::from_secs(1);

    static RUNS: AtomicUsize = AtomicUsize::new(0);

    fn counted() -> Option<Vec<u8>> {
        RUNS.fetch_add(1, Ordering::SeqCst);
        Some(vec![1])
    }

    fn file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, b"a program").unwrap();
        (folder, path)
    }

    fn watch(answers: Vec<KnownAnswer>) -> (Watch, tempfile::TempDir, PathBuf) {
        let (folder, path) = file();
        (Watch::over(answers, Binary::of(&path).unwrap()).unwrap(), folder, path)
    }

    #[test]
    fn r44_the_tests_run_at_the_start_and_every_24_hours() {
        let answer = KnownAnswer { name: "counted", answer: counted, known: "01" };
        let (watch, _folder, _path) = watch(vec![answer]);
        assert_eq!(RUNS.load(Ordering::SeqCst), 1, "at the start");
        for runs in 1..4 {
            watch.run_if_due();
            watch.pass_time(EVERY - SOON);
            watch.run_if_due();
            assert_eq!(RUNS.load(Ordering::SeqCst), runs, "not before their time");
            watch.pass_time(SOON);
            watch.run_if_due();
            assert_eq!(RUNS.load(Ordering::SeqCst), runs + 1);
            assert_eq!(watch.check(), Ok(()));
        }
    }

    #[test]
    fn r44_a_test_that_fails_at_the_start_opens_nothing() {
        let (_folder, path) = file();
        let broken = KnownAnswer { name: "a broken one", answer: || None, known: "" };
        let outcome = Watch::over(vec![broken], Binary::of(&path).unwrap());
        assert!(matches!(outcome, Err(HsmSoftError::SelfTest("a broken one"))));
    }

    #[test]
    fn r44_a_changed_binary_is_found_at_the_next_test_and_stays_found() {
        let (watch, _folder, path) = watch(vec![]);
        fs::write(&path, b"b program").unwrap();
        watch.run_if_due();
        assert_eq!(watch.check(), Ok(()), "not before its time");
        watch.pass_time(EVERY);
        watch.run_if_due();
        assert_eq!(watch.failure(), Some(PROGRAM));
        fs::write(&path, b"a program").unwrap();
        watch.pass_time(EVERY);
        watch.run_if_due();
        assert!(matches!(watch.check(), Err(Refusal::OutOfService { .. })), "no way out");
    }

    #[test]
    fn r44_tests_that_nobody_runs_are_a_failure() {
        let (watch, _folder, _path) = watch(vec![]);
        watch.pass_time(EVERY + GRACE - SOON);
        assert_eq!(watch.failure(), None);
        watch.pass_time(2 * SOON);
        assert_eq!(watch.failure(), Some(LATE));
        watch.run_if_due();
        assert_eq!(watch.failure(), Some(LATE));
    }
}
