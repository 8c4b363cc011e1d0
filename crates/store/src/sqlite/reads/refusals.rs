//! Refusals that terminals told.

use rusqlite::{Connection, Row, params};
use wire::Serial;

use super::super::error::Db;
use super::super::rows;
use super::page;
use crate::{NewRefusal, RefusalEntry, StoreError};

pub(in crate::sqlite) fn refusals(
    db: &Connection,
    sn: Option<&Serial>,
    limit: u32,
) -> Result<Vec<RefusalEntry>, StoreError> {
    db.prepare_cached(
        "SELECT id, sn, \"check\", reading, occurred_at, received_at, source FROM refusals
         WHERE ?1 IS NULL OR sn = ?1 ORDER BY id DESC LIMIT ?2",
    )
    .and_then(|mut s| s.query_map(params![sn.map(Serial::as_str), page(limit)], entry)?.collect())
    .db()
}

fn entry(row: &Row<'_>) -> rusqlite::Result<RefusalEntry> {
    Ok(RefusalEntry {
        id: row.get(0)?,
        sn: rows::serial(row, 1)?,
        refusal: NewRefusal { check: row.get(2)?, reading: row.get(3)?, occurred_at: row.get(4)? },
        received_at: row.get(5)?,
        source: row.get(6)?,
    })
}
