//! What SQLite itself makes durable: rows of the size that an imported terminal takes, as many to a commit as a batch has.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use rusqlite::{Connection, params};

use crate::measure::Rate;

/// Terminals of a batch.
const PER_COMMIT: u32 = 1000;
/// TEK's and AUK's block under the LMK, and what else stands in a terminal's row.
const BLOCKS: usize = 600;

/// One row a terminal with its index, by one thread, WAL and `synchronous = FULL` as the store has it.
pub(super) fn bare(folder: &Path, time: Duration) -> Result<Rate> {
    let mut database = Connection::open(folder.join("bare.db"))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute("CREATE TABLE rows (sn TEXT NOT NULL PRIMARY KEY, blocks BLOB NOT NULL) STRICT", [])?;
    let blocks = vec![b'0'; BLOCKS];
    let (began, mut done) = (Instant::now(), 0_u64);
    while began.elapsed() < time {
        let transaction = database.transaction()?;
        let mut insert = transaction.prepare_cached("INSERT INTO rows VALUES (?1, ?2)")?;
        for _ in 0..PER_COMMIT {
            done += 1;
            insert.execute(params![format!("FAB-{done:09}"), blocks])?;
        }
        drop(insert);
        transaction.commit()?;
    }
    Ok(Rate { done, time: began.elapsed() })
}
