//! Collection windows.

use rusqlite::{Connection, OptionalExtension, params};
use wire::Serial;

use super::super::error::Db;
use super::super::rows;
use crate::{Person, StoreError, WindowRecord};

pub(in crate::sqlite) fn window(
    db: &Connection,
    sn: &Serial,
    now: i64,
) -> Result<Option<WindowRecord>, StoreError> {
    db.prepare_cached(
        "SELECT id, sn, asked_by, asked_by_serial, opened_by, opened_by_serial, expires_at, fingerprint
         FROM collection_windows WHERE sn = ?1 AND expires_at > ?2 ORDER BY id DESC LIMIT 1",
    )
    .and_then(|mut s| {
        s.query_row(params![sn.as_str(), now], |row| {
            Ok(WindowRecord {
                id: row.get(0)?,
                sn: rows::serial(row, 1)?,
                asked_by: Person { subject: row.get(2)?, certificate_serial: row.get(3)? },
                opened_by: Person { subject: row.get(4)?, certificate_serial: row.get(5)? },
                expires_at: row.get(6)?,
                used_for: row.get(7)?,
            })
        })
        .optional()
    })
    .db()
}
