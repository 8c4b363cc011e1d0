//! The one thread that writes: it takes what is queued, runs it, commits once for all acts, and only then answers
//! (group commit).
//!
//! Nearly every act succeeds, so a group runs without savepoints first: they cost a copy of each page that an act
//! changes. If one fails, all is rolled back and the group runs again, each act in a savepoint of its own, so that
//! the failed one is undone and nothing else.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, params};
use tokio::sync::{mpsc, oneshot};

use super::error::Db;
use crate::audit::{Hash, Link, canonical_json};
use crate::{Event, StoreError, limits};

/// Acts that may wait for the writer; more wait in their callers, so memory stays bounded by the server's own
/// limits on connections.
const QUEUE: usize = 1024;

/// Acts in one commit: bounds how long the first one waits for the others.
const BATCH: usize = 256;

/// How long a group that is less than half of the last one waits for more, once: the others were answered a moment ago
/// and most come again. An act alone, after one alone or after a few, never waits.
const GATHER: Duration = Duration::from_micros(300);

/// The writer's end that acts are handed to. Dropping it finishes the queue first.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread; the connection is its own from now on.
    pub(super) fn start(connection: Connection) -> Result<Writer, StoreError> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || serve(&connection, jobs))
            .map_err(|e| StoreError::Io(format!("no thread for the writer: {e}")))?;
        Ok(Writer { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs an act and answers when it is durable, or has failed and left nothing behind.
    ///
    /// It may run twice; what it did the first time is then undone.
    pub(super) async fn act<T, F>(&self, act: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = TypedJob { act, outcome: None, reply };
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.send(Box::new(job)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Unanswered)?
    }
}

#[cfg(test)]
impl Writer {
    /// How many acts wait in the queue.
    pub(super) fn waiting(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // Its own panics have been answered already; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

/// The transaction that a batch of acts runs in.
pub(super) struct Tx<'c> {
    connection: &'c Connection,
    /// The chain's end: as recorded when the batch began, and with this batch's events.
    end: RefCell<End>,
}

#[derive(Clone, Copy)]
struct End {
    seq: i64,
    hash: Hash,
}

impl<'c> Tx<'c> {
    /// Reads the chain's end anew for each batch: another process may have written since.
    fn begin(connection: &'c Connection) -> Result<Tx<'c>, StoreError> {
        let end = connection
            .prepare_cached("SELECT seq, hash FROM audit_end")
            .and_then(|mut s| s.query_row([], |row| Ok(End { seq: row.get(0)?, hash: row.get(1)? })))
            .db()?;
        Ok(Tx { connection, end: RefCell::new(end) })
    }

    /// The bare connection, for tests that do what no act may.
    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        self.connection
    }

    /// A statement for an act, prepared once for the connection. No act begins, commits or rolls back by itself.
    pub(super) fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, StoreError> {
        self.connection.prepare_cached(sql).db()
    }

    /// A read as the readers do it, of what this batch has written so far.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        read(self.connection)
    }

    /// Appends an event to the audit and gives its number.
    pub(super) fn append(&self, event: &Event) -> Result<i64, StoreError> {
        for (what, text) in [
            ("an event's kind", &*event.kind),
            ("an event's actor", &event.actor),
            ("an event's subject", &event.subject),
        ] {
            if text.len() > limits::EVENT_TEXT {
                return Err(StoreError::TooLarge { what, limit: limits::EVENT_TEXT });
            }
        }
        let detail = canonical_json(&event.detail);
        if detail.len() > limits::EVENT_DETAIL {
            return Err(StoreError::TooLarge { what: "an event's detail", limit: limits::EVENT_DETAIL });
        }
        let before = *self.end.borrow();
        let seq = before.seq.saturating_add(1);
        let link = Link {
            seq,
            at: event.at,
            kind: &event.kind,
            actor: &event.actor,
            subject: &event.subject,
            detail: &detail,
            prev: &before.hash,
        };
        let hash = link.hash();
        self.prepare(
            "INSERT INTO audit (seq, at, kind, actor, subject, detail, prev_hash, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![seq, event.at, event.kind, event.actor, event.subject, detail, before.hash, hash])
        .db()?;
        *self.end.borrow_mut() = End { seq, hash };
        Ok(seq)
    }

    /// Runs one act so that its failure undoes it and nothing else.
    ///
    /// `Err` means that the whole transaction is gone: SQLite itself rolls it back on some failures of the disk.
    fn savepoint(&self, job: &mut dyn Job) -> Result<(), StoreError> {
        self.run("SAVEPOINT act")?;
        let before = *self.end.borrow();
        if let Err(error) = job.run(self) {
            if self.connection.is_autocommit() {
                return Err(error);
            }
            *self.end.borrow_mut() = before;
            self.run("ROLLBACK TO act")?;
        }
        self.run("RELEASE act")
    }

    fn commit(self, recorded: i64) -> Result<(), StoreError> {
        let end = *self.end.borrow();
        if end.seq != recorded {
            self.prepare("UPDATE audit_end SET seq = ?1, hash = ?2")?
                .execute(params![end.seq, end.hash])
                .db()?;
        }
        self.run("COMMIT")
    }

    fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.prepare(sql)?.execute([]).db().map(|_| ())
    }
}

/// An act with its answer's type hidden.
trait Job: Send {
    /// Runs it and keeps what came out.
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), StoreError>;
    /// Sends what came out, or why the commit failed.
    fn answer(self: Box<Self>, committed: &Result<(), StoreError>);
}

struct TypedJob<T, F> {
    act: F,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for TypedJob<T, F>
where
    T: Send,
    F: Fn(&Tx<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        // Whatever a panicking act left in the database is rolled back, and an act owns only what it was given.
        let outcome =
            catch_unwind(AssertUnwindSafe(|| (self.act)(tx))).unwrap_or(Err(StoreError::ActPanicked));
        let told = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        self.outcome = Some(outcome);
        told
    }

    fn answer(self: Box<Self>, committed: &Result<(), StoreError>) {
        let answer = match (self.outcome, committed) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(commit)) => Err(commit.clone()),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::Unanswered),
        };
        // A caller that has gone does not undo its act.
        let _ = self.reply.send(answer);
    }
}

fn serve(connection: &Connection, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut batch: Vec<Box<dyn Job>> = Vec::with_capacity(BATCH);
    let mut last = 0;
    while let Some(first) = jobs.blocking_recv() {
        batch.push(first);
        fill(&mut batch, &mut jobs);
        if batch.len() < last / 2 {
            std::thread::sleep(GATHER);
            fill(&mut batch, &mut jobs);
        }
        last = batch.len();
        let committed = run_batch(connection, &mut batch);
        if committed.is_err() && !connection.is_autocommit() {
            // If even this fails, the next BEGIN does too, and says why.
            let _ = connection.execute_batch("ROLLBACK");
        }
        for job in batch.drain(..) {
            job.answer(&committed);
        }
    }
}

/// Adds what waits already.
fn fill(batch: &mut Vec<Box<dyn Job>>, jobs: &mut mpsc::Receiver<Box<dyn Job>>) {
    while batch.len() < BATCH
        && let Ok(next) = jobs.try_recv()
    {
        batch.push(next);
    }
}

fn run_batch(connection: &Connection, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    let (tx, recorded) = begin(connection)?;
    let Some(failure) = batch.iter_mut().find_map(|job| job.run(&tx).err()) else {
        return tx.commit(recorded);
    };
    if connection.is_autocommit() {
        // SQLite itself has rolled everything back, as it does on some failures of the disk.
        return Err(failure);
    }
    tx.run("ROLLBACK")?;
    if batch.len() == 1 {
        // It has its own answer, and nothing is left of it.
        return Ok(());
    }
    let (tx, recorded) = begin(connection)?;
    for job in batch {
        tx.savepoint(job.as_mut())?;
    }
    tx.commit(recorded)
}

/// Begins a transaction, and tells where the audit's recorded end is.
fn begin(connection: &Connection) -> Result<(Tx<'_>, i64), StoreError> {
    // IMMEDIATE: whoever else writes is met here, before any act has run.
    connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut s| s.execute([])).db()?;
    let tx = Tx::begin(connection)?;
    let recorded = tx.end.borrow().seq;
    Ok((tx, recorded))
}
