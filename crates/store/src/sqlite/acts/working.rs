//! Working keys of a slot, and the confirmation of all keys of one message.

use rusqlite::{OptionalExtension, params};
use serde_json::json;

use super::super::error::Db;
use super::super::rows::{self, working_columns};
use super::super::writer::Tx;
use super::{at_most, tmks, with_facts};
use crate::{
    ConfirmOutcome, Event, HeldWorkingKey, LoadedKey, PutWorking, StoreError, WorkingOutcome, limits,
};

pub(in crate::sqlite) fn put_pending(
    tx: &Tx<'_>,
    put: &PutWorking,
    event: &Event,
) -> Result<WorkingOutcome, StoreError> {
    at_most("a working key's block", put.block.len(), limits::KEY_BLOCK)?;
    let known = tx.prepare("SELECT 1 FROM terminals WHERE sn = ?1")?.exists([put.sn.as_str()]).db()?;
    if !known {
        return Err(StoreError::NoSuchTerminal(put.sn.clone()));
    }
    let first = tx
        .prepare(concat!(
            "SELECT ",
            working_columns!(),
            " FROM working_keys WHERE sn = ?1 AND slot = ?2 AND kind = ?3 AND state = 'pending'"
        ))?
        .query_row(params![put.sn.as_str(), put.slot.index(), rows::kind_text(put.kind)], rows::working_key)
        .optional()
        .db()?;
    if let Some(first) = first {
        return Ok(WorkingOutcome::Lost(first));
    }
    let id: i64 = tx
        .prepare(
            "INSERT INTO working_keys (sn, slot, kind, state, block, kcv, created_at, changed_at)
             VALUES (?1, ?2, ?3, 'pending', ?4, ?5, ?6, ?6) RETURNING id",
        )?
        .query_row(
            params![
                put.sn.as_str(),
                put.slot.index(),
                rows::kind_text(put.kind),
                put.block,
                put.kcv.as_bytes(),
                event.at
            ],
            |row| row.get(0),
        )
        .db()?;
    tx.append(&with_facts(event, json!({ "key": id })))?;
    let (block, kcv) = (put.block.clone(), put.kcv);
    Ok(WorkingOutcome::Stored(HeldWorkingKey { id, block, kcv, created_at: event.at }))
}

pub(in crate::sqlite) fn confirm_loaded(
    tx: &Tx<'_>,
    keys: &[LoadedKey],
    event: &Event,
) -> Result<ConfirmOutcome, StoreError> {
    // Looked at before anything is written: all of them or none.
    let mut states = Vec::with_capacity(keys.len());
    for key in keys {
        let (table, id) = match key {
            LoadedKey::Tmk(id) => ("SELECT state FROM tmks WHERE id = ?1", id),
            LoadedKey::Working(id) => ("SELECT state FROM working_keys WHERE id = ?1", id),
        };
        let state: Option<String> = tx.prepare(table)?.query_row([id], |row| row.get(0)).optional().db()?;
        match state.as_deref() {
            Some("pending") => states.push(true),
            Some("active") => states.push(false),
            _ => return Ok(ConfirmOutcome::Gone),
        }
    }
    if !states.contains(&true) {
        return Ok(ConfirmOutcome::AlreadyActive);
    }
    let mut retired = Vec::new();
    for (key, _) in keys.iter().zip(states).filter(|(_, pending)| *pending) {
        match key {
            LoadedKey::Tmk(id) => retired.extend(tmks::activate(tx, *id, event.at)?.flatten()),
            LoadedKey::Working(id) => activate(tx, *id, event.at)?,
        }
    }
    tx.append(&with_facts(event, json!({ "retired": retired })))?;
    Ok(ConfirmOutcome::Activated)
}

/// The key before it goes for good: a working key opens nothing that is kept.
fn activate(tx: &Tx<'_>, id: i64, at: i64) -> Result<(), StoreError> {
    tx.prepare(
        "DELETE FROM working_keys WHERE state = 'active'
            AND (sn, slot, kind) = (SELECT sn, slot, kind FROM working_keys WHERE id = ?1)",
    )?
    .execute([id])
    .db()?;
    tx.prepare("UPDATE working_keys SET state = 'active', changed_at = ?2 WHERE id = ?1")?
        .execute(params![id, at])
        .db()?;
    Ok(())
}
