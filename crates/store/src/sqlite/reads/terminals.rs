//! Acquirers, terminals, replacements that wait.

use rusqlite::{Connection, OptionalExtension, params};
use wire::Serial;

use super::super::error::Db;
use super::super::rows::{self, terminal_columns};
use super::page;
use crate::{AcquirerRecord, AskingBatch, Person, ReplacementRecord, StoreError, TerminalRecord, limits};

pub(in crate::sqlite) fn acquirers(db: &Connection) -> Result<Vec<AcquirerRecord>, StoreError> {
    db.prepare_cached("SELECT id, name, created_at FROM acquirers ORDER BY id")
        .and_then(|mut s| {
            s.query_map([], |row| {
                Ok(AcquirerRecord { id: row.get(0)?, name: row.get(1)?, created_at: row.get(2)? })
            })?
            .collect()
        })
        .db()
}

pub(in crate::sqlite) fn terminal(
    db: &Connection,
    sn: &Serial,
) -> Result<Option<TerminalRecord>, StoreError> {
    db.prepare_cached(concat!("SELECT ", terminal_columns!(), " FROM terminals WHERE sn = ?1"))
        .and_then(|mut s| s.query_row([sn.as_str()], rows::terminal).optional())
        .db()
}

pub(in crate::sqlite) fn terminals(
    db: &Connection,
    after: Option<&Serial>,
    limit: u32,
) -> Result<Vec<TerminalRecord>, StoreError> {
    db.prepare_cached(concat!(
        "SELECT ",
        terminal_columns!(),
        " FROM terminals WHERE sn > ?1 ORDER BY sn LIMIT ?2"
    ))
    .and_then(|mut s| {
        // No serial is empty, so all come after the empty one.
        let after = after.map_or("", Serial::as_str);
        s.query_map(params![after, page(limit)], rows::terminal)?.collect()
    })
    .db()
}

/// Columns and tables of a replacement that waits; the condition ends open.
const WAITING: &str =
    "SELECT r.id, r.sn, r.key_serial, t.key_serial, r.fingerprint, t.fingerprint, c.signer, c.signer_serial,
        c.station, c.collected_at, c.uploaded_at, o.name, b.partner
     FROM replacements r JOIN terminals t ON t.sn = r.sn JOIN collections c ON c.id = r.collection
     LEFT JOIN received_batches b ON b.id = r.collection LEFT JOIN orders o ON o.id = b.order_id
     WHERE r.state = 'waiting'";

pub(in crate::sqlite) fn replacements_waiting(db: &Connection) -> Result<Vec<ReplacementRecord>, StoreError> {
    db.prepare_cached(&format!("{WAITING} ORDER BY r.id LIMIT ?1"))
        .and_then(|mut s| s.query_map([limits::PAGE], replacement)?.collect())
        .db()
}

pub(in crate::sqlite) fn replacement_waiting(
    db: &Connection,
    id: i64,
) -> Result<Option<ReplacementRecord>, StoreError> {
    db.prepare_cached(&format!("{WAITING} AND r.id = ?1"))
        .and_then(|mut s| s.query_row([id], replacement).optional())
        .db()
}

fn replacement(row: &rusqlite::Row<'_>) -> rusqlite::Result<ReplacementRecord> {
    let sn = rows::serial(row, 1)?;
    let batch = match row.get(11)? {
        Some(order) => Some(AskingBatch { order, vendor: row.get(12)? }),
        None => None,
    };
    Ok(ReplacementRecord {
        id: row.get(0)?,
        pin_pad: rows::external(&sn, rows::serial(row, 2)?),
        current_pin_pad: rows::external(&sn, rows::serial(row, 3)?),
        sn,
        fingerprint: row.get(4)?,
        current_fingerprint: row.get(5)?,
        signer: Person { subject: row.get(6)?, certificate_serial: row.get(7)? },
        station: row.get(8)?,
        batch,
        collected_at: row.get(9)?,
        uploaded_at: row.get(10)?,
    })
}
