//! Files of the database repository: put chunk by chunk, then finished for good.

use rusqlite::params;
use serde_json::json;

use super::super::error::Db;
use super::super::writer::Tx;
use super::{at_most, integer, vendors, with_facts};
use crate::audit::hex;
use crate::{Event, StoreError, limits};

/// [`limits::FILE_CHUNK`] as SQLite counts.
const CHUNK: u64 = limits::FILE_CHUNK as u64;

pub(in crate::sqlite) fn put_chunk(
    tx: &Tx<'_>,
    vendor: &str,
    path: &str,
    index: u32,
    data: &[u8],
) -> Result<(), StoreError> {
    at_most("a file's path", path.len(), limits::PATH)?;
    at_most("a file's chunk", data.len(), limits::FILE_CHUNK)?;
    if u64::from(index).saturating_mul(CHUNK) >= limits::FILE {
        return Err(StoreError::Invalid("a file has at most 4 GiB"));
    }
    vendors::known(tx, vendor)?;
    not_finished(tx, vendor, path)?;
    tx.prepare(
        "INSERT INTO file_chunks (vendor, path, position, data) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (vendor, path, position) DO UPDATE SET data = ?4",
    )?
    .execute(params![vendor, path, index, data])
    .db()
    .map(|_| ())
}

pub(in crate::sqlite) fn finish(
    tx: &Tx<'_>,
    (vendor, path): (&str, &str),
    size: u64,
    sha256: &[u8; 32],
    event: &Event,
) -> Result<(), StoreError> {
    if size > limits::FILE {
        return Err(StoreError::Invalid("a file has at most 4 GiB"));
    }
    vendors::known(tx, vendor)?;
    not_finished(tx, vendor, path)?;
    let chunks = size.div_ceil(CHUNK);
    let last = size - CHUNK * chunks.saturating_sub(1);
    let [kept_size, kept_chunks, last, chunk] =
        [size, chunks, last, CHUNK].map(|n| integer("a file has at most 4 GiB", n));
    let (kept_size, kept_chunks) = (kept_size?, kept_chunks?);
    tx.prepare("DELETE FROM file_chunks WHERE vendor = ?1 AND path = ?2 AND position >= ?3")?
        .execute(params![vendor, path, kept_chunks])
        .db()?;
    // The length of a blob stands before it, so this reads none of the content.
    let right: i64 = tx
        .prepare(
            "SELECT count(*) FROM file_chunks WHERE vendor = ?1 AND path = ?2
             AND length(data) = iif(position = ?3 - 1, ?4, ?5)",
        )?
        .query_row(params![vendor, path, kept_chunks, last?, chunk?], |row| row.get(0))
        .db()?;
    if right != kept_chunks {
        return Err(StoreError::Unfinished { path: path.to_owned(), size });
    }
    tx.prepare("INSERT INTO files (vendor, path, size, sha256, created_at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![vendor, path, kept_size, sha256, event.at])
        .db()?;
    tx.append(&with_facts(event, json!({ "path": path, "size": size, "sha256": hex(sha256) }))).map(|_| ())
}

fn not_finished(tx: &Tx<'_>, vendor: &str, path: &str) -> Result<(), StoreError> {
    let finished =
        tx.prepare("SELECT 1 FROM files WHERE vendor = ?1 AND path = ?2")?.exists([vendor, path]).db()?;
    if finished { Err(StoreError::AlreadyThere { what: "file", id: path.to_owned() }) } else { Ok(()) }
}
