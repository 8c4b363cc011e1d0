//! Operators: five wrong proofs in a row lock one (2-wire.md section 7).

use rusqlite::{OptionalExtension, params};
use serde_json::json;

use super::super::error::Db;
use super::super::writer::Tx;
use super::{at_most, with_facts};
use crate::{Event, StoreError, limits};

pub(in crate::sqlite) fn put(tx: &Tx<'_>, id: &str, sealed: &[u8], event: &Event) -> Result<(), StoreError> {
    at_most("an operator's id", id.len(), limits::NAME)?;
    at_most("an operator's sealed password", sealed.len(), limits::SEALED)?;
    tx.prepare(
        "INSERT INTO operators (id, sealed, created_at, changed_at) VALUES (?1, ?2, ?3, ?3)
         ON CONFLICT (id) DO UPDATE SET sealed = ?2, failures = 0, locked = 0, changed_at = ?3",
    )?
    .execute(params![id, sealed, event.at])
    .db()?;
    tx.append(event).map(|_| ())
}

pub(in crate::sqlite) fn failed(tx: &Tx<'_>, id: &str, event: &Event) -> Result<u32, StoreError> {
    let counted: Option<(u32, bool)> = tx
        .prepare(
            "UPDATE operators SET failures = min(failures + 1, ?3), locked = locked OR failures + 1 >= ?4,
                changed_at = ?2 WHERE id = ?1 RETURNING failures, locked",
        )?
        .query_row(params![id, event.at, u32::MAX, limits::OPERATOR_FAILURES], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
        .db()?;
    let Some((failures, locked)) = counted else { return Ok(0) };
    tx.append(&with_facts(event, json!({ "failures": failures, "locked": locked })))?;
    Ok(failures)
}

pub(in crate::sqlite) fn passed(tx: &Tx<'_>, id: &str) -> Result<bool, StoreError> {
    tx.prepare("UPDATE operators SET failures = 0 WHERE id = ?1 AND locked = 0")?
        .execute([id])
        .db()
        .map(|changed| changed > 0)
}

pub(in crate::sqlite) fn unlock(tx: &Tx<'_>, id: &str, event: &Event) -> Result<bool, StoreError> {
    let changed = tx
        .prepare(
            "UPDATE operators SET failures = 0, locked = 0, changed_at = ?2 WHERE id = ?1 AND locked = 1",
        )?
        .execute(params![id, event.at])
        .db()?;
    if changed == 0 {
        return Ok(false);
    }
    tx.append(event)?;
    Ok(true)
}
