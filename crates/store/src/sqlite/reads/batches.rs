//! Batches: what an MTMS sent and still has to send, and what a KMS received.

use rusqlite::{Connection, OptionalExtension, Row, params};
use wire::Serial;

use super::super::error::Db;
use super::super::rows::{self, terminal_columns};
use super::page;
use crate::{
    BatchItem, BatchRecord, HistoryBatch, HistoryReceived, ItemResult, Person, ReceivedBatch,
    ReceivedBatchSummary, StoreError, Undelivered,
};

/// Terminals of an order whose present TK is in no batch; one of which an earlier TK is in one replaces it.
const UNDELIVERED: &str = concat!(
    "SELECT ",
    terminal_columns!(),
    ", collected_under, device_generation,
        EXISTS (SELECT 1 FROM batch_items i WHERE i.sn = t.sn)
     FROM (SELECT sn AS listed FROM order_serials
           WHERE order_id = (SELECT id FROM orders WHERE name = ?1) AND sn > ?2) s
     JOIN terminals t ON t.sn = s.listed
     WHERE (t.ctk_pu IS NOT NULL OR t.tek IS NOT NULL)
        AND NOT EXISTS (SELECT 1 FROM batch_items i WHERE i.sn = t.sn AND i.tk_generation = t.tk_generation)
     ORDER BY s.listed LIMIT ?3"
);

pub(in crate::sqlite) fn undelivered(
    db: &Connection,
    order: &str,
    after: Option<&Serial>,
    limit: u32,
) -> Result<Vec<Undelivered>, StoreError> {
    db.prepare_cached(UNDELIVERED)
        .and_then(|mut s| {
            let after = after.map_or("", Serial::as_str);
            s.query_map(params![order, after, page(limit)], |row| {
                Ok(Undelivered {
                    terminal: rows::terminal(row)?,
                    work_certificate_sha256: row.get(14)?,
                    device_generation: row.get::<_, Option<i64>>(15)?.map(i64::unsigned_abs),
                    replaces: row.get(16)?,
                })
            })?
            .collect()
        })
        .db()
}

/// The columns that [`batch_row`] reads; the receipt is the last.
macro_rules! batch_columns {
    ($receipt:literal) => {
        concat!(
            "SELECT b.id, o.name, b.digest, b.terminals, b.accepted, b.created_at, b.answered_at, ",
            $receipt,
            " FROM batches b JOIN orders o ON o.id = b.order_id "
        )
    };
}

pub(in crate::sqlite) fn batches(
    db: &Connection,
    order: &str,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<BatchRecord>, StoreError> {
    db.prepare_cached(concat!(
        batch_columns!("NULL"),
        "WHERE b.order_id = (SELECT id FROM orders WHERE name = ?1) AND b.id > ?2 ORDER BY b.id LIMIT ?3"
    ))
    .and_then(|mut s| s.query_map(params![order, after.unwrap_or(0), page(limit)], batch_row)?.collect())
    .db()
}

pub(in crate::sqlite) fn unanswered(
    db: &Connection,
    order: &str,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<BatchRecord>, StoreError> {
    db.prepare_cached(concat!(
        batch_columns!("NULL"),
        "WHERE b.order_id = (SELECT id FROM orders WHERE name = ?1) AND b.answered_at IS NULL AND b.id > ?2
         ORDER BY b.id LIMIT ?3"
    ))
    .and_then(|mut s| s.query_map(params![order, after.unwrap_or(0), page(limit)], batch_row)?.collect())
    .db()
}

pub(in crate::sqlite) fn batch(db: &Connection, id: i64) -> Result<Option<BatchRecord>, StoreError> {
    db.prepare_cached(concat!(batch_columns!("b.receipt"), "WHERE b.id = ?1"))
        .and_then(|mut s| s.query_row([id], batch_row).optional())
        .db()
}

fn batch_row(row: &Row<'_>) -> rusqlite::Result<BatchRecord> {
    Ok(BatchRecord {
        id: row.get(0)?,
        order: row.get(1)?,
        digest: row.get(2)?,
        terminals: rows::count(row, 3)?,
        accepted: rows::count(row, 4)?,
        created_at: row.get(5)?,
        answered_at: row.get(6)?,
        receipt: row.get(7)?,
    })
}

pub(in crate::sqlite) fn package(db: &Connection, id: i64) -> Result<Option<Vec<u8>>, StoreError> {
    db.prepare_cached("SELECT package FROM batches WHERE id = ?1")
        .and_then(|mut s| s.query_row([id], |row| row.get(0)).optional())
        .db()
}

pub(in crate::sqlite) fn items(db: &Connection, id: i64) -> Result<Vec<(Serial, i64)>, StoreError> {
    db.prepare_cached("SELECT sn, tk_generation FROM batch_items WHERE batch = ?1 ORDER BY position")
        .and_then(|mut s| s.query_map([id], |row| Ok((rows::serial(row, 0)?, row.get(1)?)))?.collect())
        .db()
}

/// What [`item_row`] reads, from the fourth column on.
macro_rules! item_columns {
    () => {
        "i.batch, i.tk_generation, b.created_at, b.answered_at, i.sn, r.ok, r.code, r.text, r.fingerprint
         FROM batch_items i JOIN batches b ON b.id = i.batch
         LEFT JOIN batch_results r ON r.batch = i.batch AND r.position = i.position "
    };
}

/// The batch that one TK of a terminal was in.
pub(super) fn item(db: &Connection, sn: &Serial, tk_generation: i64) -> rusqlite::Result<Option<BatchItem>> {
    db.prepare_cached(concat!(
        "SELECT NULL, NULL, ",
        item_columns!(),
        "WHERE i.sn = ?1 AND i.tk_generation = ?2"
    ))?
    .query_row(params![sn.as_str(), tk_generation], item_row)
    .optional()
}

/// All batches of this MTMS that a terminal was in.
pub(super) fn sent(db: &Connection, sn: &Serial) -> rusqlite::Result<Vec<HistoryBatch>> {
    db.prepare_cached(concat!(
        "SELECT (SELECT name FROM orders WHERE id = b.order_id), (SELECT buyer FROM orders WHERE id = b.order_id), ",
        item_columns!(),
        "WHERE i.sn = ?1 ORDER BY i.batch"
    ))?
    .query_map([sn.as_str()], |row| {
        Ok(HistoryBatch { order: row.get(0)?, buyer: row.get(1)?, item: item_row(row)? })
    })?
    .collect()
}

fn item_row(row: &Row<'_>) -> rusqlite::Result<BatchItem> {
    let result = match row.get::<_, Option<String>>(8)? {
        Some(code) => Some(ItemResult {
            sn: row.get(6)?,
            ok: row.get(7)?,
            code,
            text: row.get(9)?,
            fingerprint: row.get(10)?,
        }),
        None => None,
    };
    Ok(BatchItem {
        batch: row.get(2)?,
        tk_generation: row.get(3)?,
        created_at: row.get(4)?,
        answered_at: row.get(5)?,
        result,
    })
}

pub(in crate::sqlite) fn received(
    db: &Connection,
    content_digest: &[u8; 32],
) -> Result<Option<ReceivedBatch>, StoreError> {
    // Written in one transaction and never altered: a batch that is found is whole.
    let head = db
        .prepare_cached(
            "SELECT r.id, o.name, r.partner, r.content_digest, c.signer, c.signer_serial, c.uploaded_at
             FROM received_batches r JOIN orders o ON o.id = r.order_id JOIN collections c ON c.id = r.id
             WHERE r.content_digest = ?1",
        )
        .and_then(|mut s| {
            s.query_row([content_digest], |row| {
                Ok(ReceivedBatch {
                    id: row.get(0)?,
                    order: row.get(1)?,
                    partner: row.get(2)?,
                    content_digest: row.get(3)?,
                    signer: Person { subject: row.get(4)?, certificate_serial: row.get(5)? },
                    received_at: row.get(6)?,
                    results: Vec::new(),
                })
            })
            .optional()
        })
        .db()?;
    let Some(mut batch) = head else { return Ok(None) };
    batch.results = db
        .prepare_cached(
            "SELECT sn, ok, code, text, fingerprint FROM received_items WHERE batch = ?1 ORDER BY position",
        )
        .and_then(|mut s| s.query_map([batch.id], |row| result_row(row, 0))?.collect())
        .db()?;
    Ok(Some(batch))
}

pub(in crate::sqlite) fn received_for(
    db: &Connection,
    order: &str,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<ReceivedBatchSummary>, StoreError> {
    db.prepare_cached(
        "SELECT r.id, r.content_digest, r.partner, c.signer, c.signer_serial, c.uploaded_at, r.terminals, r.accepted
         FROM received_batches r JOIN collections c ON c.id = r.id
         WHERE r.order_id = (SELECT id FROM orders WHERE name = ?1) AND r.id > ?2 ORDER BY r.id LIMIT ?3",
    )
    .and_then(|mut s| {
        s.query_map(params![order, after.unwrap_or(0), page(limit)], |row| {
            Ok(ReceivedBatchSummary {
                id: row.get(0)?,
                content_digest: row.get(1)?,
                partner: row.get(2)?,
                signer: Person { subject: row.get(3)?, certificate_serial: row.get(4)? },
                received_at: row.get(5)?,
                terminals: rows::count(row, 6)?,
                accepted: rows::count(row, 7)?,
            })
        })?
        .collect()
    })
    .db()
}

/// What [`history_row`] reads; the condition follows.
macro_rules! received_columns {
    () => {
        "SELECT i.batch, o.name, r.partner, c.uploaded_at, i.sn, i.ok, i.code, i.text, i.fingerprint
         FROM received_items i JOIN received_batches r ON r.id = i.batch JOIN orders o ON o.id = r.order_id
         JOIN collections c ON c.id = r.id "
    };
}

/// All batches that brought a terminal to this KMS.
pub(super) fn received_of(db: &Connection, sn: &Serial) -> rusqlite::Result<Vec<HistoryReceived>> {
    db.prepare_cached(concat!(received_columns!(), "WHERE i.sn = ?1 ORDER BY i.batch, i.position"))?
        .query_map([sn.as_str()], history_row)?
        .collect()
}

/// The newest batch of an order that brought a terminal to this KMS.
pub(super) fn received_last(
    db: &Connection,
    order: &str,
    sn: &Serial,
) -> rusqlite::Result<Option<HistoryReceived>> {
    db.prepare_cached(concat!(
        received_columns!(),
        "WHERE i.sn = ?1 AND o.name = ?2 ORDER BY i.batch DESC LIMIT 1"
    ))?
    .query_row([sn.as_str(), order], history_row)
    .optional()
}

fn history_row(row: &Row<'_>) -> rusqlite::Result<HistoryReceived> {
    Ok(HistoryReceived {
        batch: row.get(0)?,
        order: row.get(1)?,
        partner: row.get(2)?,
        received_at: row.get(3)?,
        result: result_row(row, 4)?,
    })
}

fn result_row(row: &Row<'_>, first: usize) -> rusqlite::Result<ItemResult> {
    Ok(ItemResult {
        sn: row.get(first)?,
        ok: row.get(first + 1)?,
        code: row.get(first + 2)?,
        text: row.get(first + 3)?,
        fingerprint: row.get(first + 4)?,
    })
}
