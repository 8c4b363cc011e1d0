//! The way to one repository: so many requests at once, so long for each, and a rest after failures.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::{RepositoryError, source::Permit};

/// So many failures one after another, and the repository is left alone for a while.
const FAILURES: u32 = 3;
/// How long. In it every request is refused at once, so that waiting for the dead holds up nobody.
const REST: Duration = Duration::from_secs(5);

/// The way to one repository.
pub(super) struct Gate {
    permits: Arc<Semaphore>,
    timeout: Duration,
    health: Mutex<Health>,
}

#[derive(Default)]
struct Health {
    failures: u32,
    resting: Option<(Instant, String)>,
}

impl Gate {
    pub(super) fn new(at_once: usize, timeout: Duration) -> Self {
        Self { permits: Arc::new(Semaphore::new(at_once)), timeout, health: Mutex::default() }
    }

    /// Does `work` when there is leave for it.
    ///
    /// # Errors
    /// [`RepositoryError::Busy`] when there was none in the time allowed; [`RepositoryError::Unavailable`] when the work
    /// took longer than that, and at once while the repository rests.
    pub(super) async fn run<T, F>(&self, work: impl FnOnce(Permit) -> F) -> Result<T, RepositoryError>
    where
        F: Future<Output = Result<T, RepositoryError>>,
    {
        self.awake()?;
        let acquired = timeout(self.timeout, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = acquired.map_err(|_| RepositoryError::Busy)?.map_err(RepositoryError::unavailable)?;
        self.awake()?; // others may have failed while this one waited
        let done = timeout(self.timeout, work(permit)).await.unwrap_or_else(|_| {
            Err(RepositoryError::unavailable(format_args!("no answer in {} s", self.timeout.as_secs())))
        });
        self.note(&done);
        done
    }

    fn awake(&self) -> Result<(), RepositoryError> {
        match &self.health().resting {
            Some((until, why)) if Instant::now() < *until => {
                Err(RepositoryError::unavailable(format_args!("{why}; it is left alone for some seconds")))
            }
            _ => Ok(()),
        }
    }

    fn note<T>(&self, done: &Result<T, RepositoryError>) {
        let mut health = self.health();
        let Err(RepositoryError::Unavailable { why }) = done else {
            *health = Health::default();
            return;
        };
        health.failures = health.failures.saturating_add(1);
        if health.failures >= FAILURES {
            health.resting = Some((Instant::now() + REST, why.clone()));
        }
    }

    /// A panic elsewhere while the lock was held leaves a value that is still whole.
    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    async fn fails(gate: &Gate) -> Result<(), RepositoryError> {
        gate.run(|_permit| async { Err(RepositoryError::unavailable("gone")) }).await
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_given_up() {
        let gate = Gate::new(1, TIMEOUT);
        let given_up = gate.run(|_permit| std::future::pending::<Result<(), _>>()).await;
        assert_eq!(given_up, Err(RepositoryError::unavailable("no answer in 10 s")));
        assert_eq!(gate.run(|_permit| async { Ok(7) }).await, Ok(7), "the leave was given back");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_allowed_are_under_way() {
        let gate = Gate::new(2, TIMEOUT);
        let kept: [_; 2] = std::array::from_fn(|_| gate.run(|permit| async { Ok(permit) }));
        let [one, two] = kept;
        let (one, _two) = (one.await.unwrap(), two.await.unwrap());
        assert_eq!(gate.run(|_permit| async { Ok(()) }).await, Err(RepositoryError::Busy));
        drop(one);
        assert_eq!(gate.run(|_permit| async { Ok(()) }).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn after_failures_it_is_left_alone_and_then_tried_again() {
        let gate = Gate::new(1, TIMEOUT);
        for _ in 0..FAILURES {
            assert_eq!(fails(&gate).await, Err(RepositoryError::unavailable("gone")));
        }
        let mut asked = false;
        let refused = gate
            .run(|_permit| {
                asked = true;
                async { Ok(()) }
            })
            .await;
        assert!(matches!(refused, Err(RepositoryError::Unavailable { .. })) && !asked);
        tokio::time::advance(REST).await;
        assert_eq!(gate.run(|_permit| async { Ok(()) }).await, Ok(()));
        // Good again: single failures do not count together.
        for _ in 1..FAILURES {
            let _failed = fails(&gate).await;
        }
        assert_eq!(
            gate.run(|_permit| async { Err::<(), _>(RepositoryError::Missing) }).await,
            Err(RepositoryError::Missing)
        );
        assert_eq!(fails(&gate).await, Err(RepositoryError::unavailable("gone")));
        assert_eq!(gate.run(|_permit| async { Ok(()) }).await, Ok(()));
    }
}
