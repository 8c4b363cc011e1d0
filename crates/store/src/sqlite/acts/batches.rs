//! Batches at the MTMS: kept before they are sent, each TK in one of them, answered once.

use rusqlite::{OptionalExtension, params};
use serde_json::json;
use wire::Serial;

use super::super::error::Db;
use super::super::writer::Tx;
use super::{at_most, count, no_more, orders, with_facts};
use crate::audit::hex;
use crate::{Event, ItemResult, NewBatch, StoreError, limits};

pub(in crate::sqlite) fn put(tx: &Tx<'_>, batch: &NewBatch, event: &Event) -> Result<i64, StoreError> {
    at_most("a batch", batch.package.len(), limits::PACKAGE)?;
    no_more("terminals of a batch", batch.items.len(), limits::BATCH)?;
    if batch.items.is_empty() {
        return Err(StoreError::Invalid("a batch has at least one terminal"));
    }
    let order =
        orders::find(tx, &batch.order)?.ok_or_else(|| StoreError::NoSuchOrder(batch.order.clone()))?;
    if !order.open {
        return Err(StoreError::Invalid("the order is closed: nothing more is sent for it"));
    }
    let known = tx.prepare("SELECT 1 FROM batches WHERE digest = ?1")?.exists([batch.digest]).db()?;
    if known {
        return Err(StoreError::AlreadyThere { what: "batch", id: hex(&batch.digest) });
    }
    let id: i64 = tx
        .prepare(
            "INSERT INTO batches (order_id, digest, package, terminals, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
             RETURNING id",
        )?
        .query_row(
            params![order.id, batch.digest, batch.package, count(batch.items.len()), event.at],
            |row| row.get(0),
        )
        .db()?;
    for (position, (sn, generation)) in (0_i64..).zip(&batch.items) {
        check(tx, order.id, sn, *generation)?;
        tx.prepare("INSERT INTO batch_items (batch, position, sn, tk_generation) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![id, position, sn.as_str(), generation])
            .db()?;
    }
    let facts = json!({ "batch": id, "order": batch.order, "buyer": order.buyer, "digest": hex(&batch.digest),
                        "terminals": batch.items.len() });
    tx.append(&with_facts(event, facts))?;
    Ok(id)
}

/// A TK goes into a batch if it is the terminal's present one and no other waits to take its place, the order lists the terminal, and it never was in one.
fn check(tx: &Tx<'_>, order: i64, sn: &Serial, generation: i64) -> Result<(), StoreError> {
    if !orders::lists(tx, order, sn)? {
        return Err(StoreError::Invalid("the order does not list a terminal of the batch"));
    }
    let present: Option<i64> = tx
        .prepare(
            "SELECT tk_generation FROM terminals WHERE sn = ?1 AND (ctk_pu IS NOT NULL OR tek IS NOT NULL)",
        )?
        .query_row([sn.as_str()], |row| row.get(0))
        .optional()
        .db()?;
    if present != Some(generation) {
        return Err(StoreError::Invalid("a TK of the batch is not its terminal's present one"));
    }
    let waits = tx
        .prepare("SELECT 1 FROM replacements WHERE sn = ?1 AND state = 'waiting'")?
        .exists([sn.as_str()])
        .db()?;
    if waits {
        return Err(StoreError::Invalid(
            "a TK of the batch has a replacement that waits for a second person",
        ));
    }
    let sent = tx
        .prepare("SELECT 1 FROM batch_items WHERE sn = ?1 AND tk_generation = ?2")?
        .exists(params![sn.as_str(), generation])
        .db()?;
    if sent {
        return Err(StoreError::AlreadyThere { what: "a batch with the TK of", id: sn.to_string() });
    }
    Ok(())
}

pub(in crate::sqlite) fn answer(
    tx: &Tx<'_>,
    id: i64,
    receipt: &[u8],
    results: &[ItemResult],
    event: &Event,
) -> Result<bool, StoreError> {
    at_most("a receipt", receipt.len(), limits::RECEIPT)?;
    let answered: Option<bool> = tx
        .prepare("SELECT answered_at IS NOT NULL FROM batches WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()
        .db()?;
    match answered {
        None => return Err(StoreError::NoSuchBatch(id)),
        Some(true) => return Ok(false),
        Some(false) => {}
    }
    let sent: Vec<String> = tx
        .prepare("SELECT sn FROM batch_items WHERE batch = ?1 ORDER BY position")?
        .query_map([id], |row| row.get(0))
        .and_then(Iterator::collect)
        .db()?;
    if !sent.iter().eq(results.iter().map(|result| &result.sn)) {
        return Err(StoreError::Invalid("a receipt names the terminals of its batch, in their order"));
    }
    for (position, result) in (0_i64..).zip(results) {
        check_result(result)?;
        tx.prepare(
            "INSERT INTO batch_results (batch, position, ok, code, text, fingerprint)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![id, position, result.ok, result.code, result.text, result.fingerprint])
        .db()?;
    }
    let accepted = results.iter().filter(|result| result.ok).count();
    tx.prepare("UPDATE batches SET answered_at = ?2, receipt = ?3, accepted = ?4 WHERE id = ?1")?
        .execute(params![id, event.at, receipt, count(accepted)])
        .db()?;
    let facts = json!({ "batch": id, "accepted": accepted, "refused": results.len() - accepted });
    tx.append(&with_facts(event, facts))?;
    Ok(true)
}

/// Texts of a result are of a bounded length.
pub(super) fn check_result(result: &ItemResult) -> Result<(), StoreError> {
    at_most("a result's serial", result.sn.len(), limits::RESULT_TEXT)?;
    at_most("a result's code", result.code.len(), limits::RESULT_TEXT)?;
    at_most("a result's text", result.text.len(), limits::RESULT_TEXT)?;
    at_most("a result's fingerprint", result.fingerprint.as_ref().map_or(0, String::len), limits::NAME)
}
