//! Connections that only read. In WAL mode no writer holds them up.
//!
//! Short reads run at once on the caller's thread: a read of one indexed row takes a few microseconds, less than
//! handing it to another thread and back. Long ones (listings, the whole audit) have a thread of their own, so
//! that they hold up neither the caller's runtime nor the short ones.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::open;
use crate::StoreError;

/// Long reads that may wait for their thread.
const QUEUE: usize = 64;

type LongRead = Box<dyn FnOnce(&Connection) + Send>;

pub(super) struct Readers {
    pool: Vec<Mutex<Connection>>,
    turn: AtomicUsize,
    long: Option<mpsc::Sender<LongRead>>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
}

impl Readers {
    pub(super) fn open(path: &Path, count: usize) -> Result<Readers, StoreError> {
        let pool = (0..count.max(1)).map(|_| open::reader(path).map(Mutex::new)).collect::<Result<_, _>>()?;
        let connection = open::reader(path)?;
        let (long, mut reads) = mpsc::channel::<LongRead>(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-reader".into())
            .spawn(move || {
                while let Some(read) = reads.blocking_recv() {
                    read(&connection);
                }
            })
            .map_err(|e| StoreError::Io(format!("no thread for long reads: {e}")))?;
        Ok(Readers {
            pool,
            turn: AtomicUsize::new(0),
            long: Some(long),
            thread: Some(thread),
            path: path.to_owned(),
        })
    }

    /// Runs a short read here and now.
    pub(super) fn short<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        read(&*self.any()?)
    }

    /// Runs a long read on the thread for those.
    pub(super) async fn long<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        // A caller that has gone needs no answer.
        let job: LongRead = Box::new(move |connection| drop(reply.send(read(connection))));
        let queue = self.long.as_ref().ok_or(StoreError::Closed)?;
        queue.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs the longest of all, the check of a whole audit, on a thread that it has for itself.
    pub(super) async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        std::thread::Builder::new()
            .name("store-audit".into())
            .spawn(move || drop(reply.send(work())))
            .map_err(|e| StoreError::Io(format!("no thread for the audit: {e}")))?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A free connection, or the wait for one.
    fn any(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        let start = self.turn.fetch_add(1, Ordering::Relaxed);
        for i in 0..self.pool.len() {
            match self.slot(start.wrapping_add(i))?.try_lock() {
                Ok(free) => return Ok(free),
                // A panic in a read leaves a read-only connection as good as before.
                Err(TryLockError::Poisoned(free)) => return Ok(free.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        Ok(self.slot(start)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn slot(&self, turn: usize) -> Result<&Mutex<Connection>, StoreError> {
        turn.checked_rem(self.pool.len()).and_then(|i| self.pool.get(i)).ok_or(StoreError::Closed)
    }
}

impl Drop for Readers {
    /// Waits until the thread has closed its connection: the writer's must be the last, since only a connection
    /// that writes can fold the write-ahead log into the file.
    fn drop(&mut self) {
        self.long = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
