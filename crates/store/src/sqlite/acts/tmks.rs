//! TMK slots: `Empty → Pending → Active → Retired`. The layout's own triggers refuse any other step.

use rusqlite::{OptionalExtension, params};
use serde_json::json;
use wire::Serial;

use super::super::error::Db;
use super::super::rows::{self, key_columns};
use super::super::writer::Tx;
use super::{at_most, with_facts};
use crate::{ConfirmOutcome, Event, HeldKey, PendingOutcome, PutPending, ResendOutcome, StoreError, limits};

pub(in crate::sqlite) fn put_pending(
    tx: &Tx<'_>,
    put: &PutPending,
    event: &Event,
) -> Result<PendingOutcome, StoreError> {
    at_most("a TMK's block", put.block.len(), limits::KEY_BLOCK)?;
    let (generation, key_serial) = tx
        .prepare("SELECT tk_generation, key_serial FROM terminals WHERE sn = ?1")?
        .query_row([put.sn.as_str()], |row| Ok((row.get::<_, i64>(0)?, rows::serial(row, 1)?)))
        .optional()
        .db()?
        .ok_or_else(|| StoreError::NoSuchTerminal(put.sn.clone()))?;
    if generation != put.tk_generation {
        return Ok(PendingOutcome::StaleTk);
    }
    if let Some(first) = pending_in(tx, put)? {
        return Ok(PendingOutcome::Lost(first));
    }
    let same = tx
        .prepare(
            "SELECT 1 FROM tmks WHERE sn = ?1 AND slot = ?2 AND state = 'active' AND kcv = ?3
             UNION ALL
             SELECT 1 FROM tmks WHERE sn = ?1 AND slot = ?2 AND state = 'retired' AND kcv = ?3",
        )?
        .exists(params![put.sn.as_str(), put.slot.index(), put.kcv.as_bytes()])
        .db()?;
    if same {
        return Ok(PendingOutcome::SameCheckValue);
    }
    let id: i64 = tx
        .prepare(
            "INSERT INTO tmks (sn, slot, state, key_serial, block, kcv, tk_generation, created_at, changed_at,
                sent_count)
             VALUES (?1, ?2, 'pending', ?3, ?4, ?5, ?6, ?7, ?7, 1) RETURNING id",
        )?
        .query_row(
            params![
                put.sn.as_str(),
                put.slot.index(),
                key_serial.as_str(),
                put.block,
                put.kcv.as_bytes(),
                put.tk_generation,
                event.at
            ],
            |row| row.get(0),
        )
        .db()?;
    tx.append(&with_facts(event, json!({ "key": id })))?;
    Ok(PendingOutcome::Stored(HeldKey {
        id,
        key_serial,
        block: put.block.clone(),
        kcv: put.kcv,
        tk_generation: put.tk_generation,
        created_at: event.at,
        changed_at: event.at,
        sent_count: 1,
    }))
}

fn pending_in(tx: &Tx<'_>, put: &PutPending) -> Result<Option<HeldKey>, StoreError> {
    tx.prepare(concat!(
        "SELECT ",
        key_columns!(),
        " FROM tmks WHERE sn = ?1 AND slot = ?2 AND state = 'pending'"
    ))?
    .query_row(params![put.sn.as_str(), put.slot.index()], rows::held_key)
    .optional()
    .db()
}

pub(in crate::sqlite) fn resend(
    tx: &Tx<'_>,
    key_id: i64,
    event: &Event,
) -> Result<ResendOutcome, StoreError> {
    let key = tx
        .prepare(concat!(
            "UPDATE tmks SET sent_count = sent_count + 1 WHERE id = ?1 AND state = 'pending' RETURNING ",
            key_columns!()
        ))?
        .query_row([key_id], rows::held_key)
        .optional()
        .db()?;
    let Some(key) = key else { return Ok(ResendOutcome::Gone) };
    tx.append(&with_facts(event, json!({ "key": key_id, "sent": key.sent_count })))?;
    Ok(ResendOutcome::Counted(key))
}

pub(in crate::sqlite) fn confirm(
    tx: &Tx<'_>,
    key_id: i64,
    event: &Event,
) -> Result<ConfirmOutcome, StoreError> {
    let found: Option<String> = tx
        .prepare("SELECT state FROM tmks WHERE id = ?1")?
        .query_row([key_id], |row| row.get(0))
        .optional()
        .db()?;
    match found.as_deref() {
        Some("pending") => {}
        Some("active") => return Ok(ConfirmOutcome::AlreadyActive),
        _ => return Ok(ConfirmOutcome::Gone),
    }
    let before = activate(tx, key_id, event.at)?;
    tx.append(&with_facts(event, json!({ "key": key_id, "retired": before })))?;
    Ok(ConfirmOutcome::Activated)
}

/// Makes a pending key the active one of its slot, and gives the one that it retires.
pub(super) fn activate(tx: &Tx<'_>, key_id: i64, at: i64) -> Result<Option<i64>, StoreError> {
    let before = tx
        .prepare(
            "UPDATE tmks SET state = 'retired', changed_at = ?2 WHERE state = 'active'
                AND (sn, slot) = (SELECT sn, slot FROM tmks WHERE id = ?1) RETURNING id",
        )?
        .query_row(params![key_id, at], |row| row.get(0))
        .optional()
        .db()?;
    tx.prepare("UPDATE tmks SET state = 'active', changed_at = ?2 WHERE id = ?1")?
        .execute(params![key_id, at])
        .db()?;
    Ok(before)
}

pub(in crate::sqlite) fn drop_pending(tx: &Tx<'_>, sn: &Serial, event: &Event) -> Result<u64, StoreError> {
    let known = tx.prepare("SELECT 1 FROM terminals WHERE sn = ?1")?.exists([sn.as_str()]).db()?;
    if !known {
        return Err(StoreError::NoSuchTerminal(sn.clone()));
    }
    let dropped = drop_all_pending(tx, sn, event.at)?;
    tx.append(&with_facts(event, json!({ "dropped": dropped })))?;
    Ok(dropped)
}

/// A dropped key's block is erased: nobody may use it again, so nobody need hold it.
pub(super) fn drop_all_pending(tx: &Tx<'_>, sn: &Serial, at: i64) -> Result<u64, StoreError> {
    tx.prepare(
        "UPDATE tmks SET state = 'dropped', block = '', changed_at = ?2 WHERE sn = ?1 AND state = 'pending'",
    )?
    .execute(params![sn.as_str(), at])
    .db()
    .map(|n| n as u64)
}

pub(super) fn retire_all_active(tx: &Tx<'_>, sn: &Serial, at: i64) -> Result<u64, StoreError> {
    tx.prepare("UPDATE tmks SET state = 'retired', changed_at = ?2 WHERE sn = ?1 AND state = 'active'")?
        .execute(params![sn.as_str(), at])
        .db()
        .map(|n| n as u64)
}
