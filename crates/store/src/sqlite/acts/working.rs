//! Working keys of a slot, and the confirmation of all keys of one message.

use rusqlite::{OptionalExtension, params};
use serde_json::json;
use wire::{Serial, Slot};

use super::super::error::Db;
use super::super::rows::{self, working_columns};
use super::super::writer::Tx;
use super::{at_most, tmks, with_facts};
use crate::{
    ConfirmOutcome, Event, HeldWorkingKey, LoadedKey, NewWorking, PutWorking, StoreError, WorkingOutcome,
    limits,
};

pub(in crate::sqlite) fn put_pending(
    tx: &Tx<'_>,
    put: &PutWorking,
    event: &Event,
) -> Result<WorkingOutcome, StoreError> {
    at_most("a working key's block", put.block.len(), limits::KEY_BLOCK)?;
    let key_serial = key_serial(tx, &put.sn)?;
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
    let new = NewWorking { kind: put.kind, block: put.block.clone(), kcv: put.kcv };
    let id = insert(tx, (&put.sn, put.slot), &key_serial, &new, event.at)?;
    tx.append(&with_facts(event, json!({ "key": id })))?;
    let (block, kcv) = (put.block.clone(), put.kcv);
    Ok(WorkingOutcome::Stored(HeldWorkingKey { id, block, kcv, created_at: event.at }))
}

/// The PIN pad that a terminal's keys belong to.
pub(super) fn key_serial(tx: &Tx<'_>, sn: &Serial) -> Result<Serial, StoreError> {
    tx.prepare("SELECT key_serial FROM terminals WHERE sn = ?1")?
        .query_row([sn.as_str()], |row| rows::serial(row, 0))
        .optional()
        .db()?
        .ok_or_else(|| StoreError::NoSuchTerminal(sn.clone()))
}

/// Enters a pending key, and gives its id.
pub(super) fn insert(
    tx: &Tx<'_>,
    (sn, slot): (&Serial, Slot),
    key_serial: &Serial,
    key: &NewWorking,
    at: i64,
) -> Result<i64, StoreError> {
    tx.prepare(
        "INSERT INTO working_keys (sn, slot, kind, state, key_serial, block, kcv, created_at, changed_at)
         VALUES (?1, ?2, ?3, 'pending', ?4, ?5, ?6, ?7, ?7) RETURNING id",
    )?
    .query_row(
        params![
            sn.as_str(),
            slot.index(),
            rows::kind_text(key.kind),
            key_serial.as_str(),
            key.block,
            key.kcv.as_bytes(),
            at
        ],
        |row| row.get(0),
    )
    .db()
}

/// Drops what waits for a confirmation, in one slot or in all, and says how many keys there were: who could confirm
/// them has changed.
pub(super) fn drop_pending(tx: &Tx<'_>, sn: &Serial, slot: Option<Slot>) -> Result<usize, StoreError> {
    let place = params![sn.as_str(), slot.map(Slot::index)];
    tx.prepare("DELETE FROM sign_ins WHERE sn = ?1 AND (?2 IS NULL OR slot = ?2)")?.execute(place).db()?;
    tx.prepare("DELETE FROM working_keys WHERE sn = ?1 AND (?2 IS NULL OR slot = ?2) AND state = 'pending'")?
        .execute(place)
        .db()
}

/// Drops the keys in use: the PIN pad that holds them is not the terminal's any more.
pub(super) fn drop_active(tx: &Tx<'_>, sn: &Serial) -> Result<usize, StoreError> {
    tx.prepare("DELETE FROM working_keys WHERE sn = ?1 AND state = 'active'")?.execute([sn.as_str()]).db()
}

/// Erases a key in use, so that nobody can use it again, whichever server he asks.
pub(in crate::sqlite) fn stop(tx: &Tx<'_>, key: i64, event: &Event) -> Result<bool, StoreError> {
    let stopped =
        tx.prepare("DELETE FROM working_keys WHERE id = ?1 AND state = 'active'")?.execute([key]).db()?;
    if stopped == 0 {
        return Ok(false);
    }
    tx.append(&with_facts(event, json!({ "key": key })))?;
    Ok(true)
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
            Some("pending") => {
                if let LoadedKey::Tmk(id) = key
                    && !tmks::may_activate(tx, *id, event.at)?
                {
                    return Ok(ConfirmOutcome::Gone);
                }
                states.push(true);
            }
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
