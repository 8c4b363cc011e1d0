//! TMK slots: `Empty → Pending → Active → Retired`. The layout's own triggers refuse any other step.

use rusqlite::{OptionalExtension, params};
use serde_json::json;
use wire::{Kcv, Serial, Slot};

use super::super::error::Db;
use super::super::rows::{self, key_columns};
use super::super::writer::Tx;
use super::{at_most, load_counters, suites, with_facts, working};
use crate::{
    ConfirmOutcome, Event, HeldKey, KeyName, PendingOutcome, PutPending, ResendOutcome, StoreError, limits,
    suite_of,
};

pub(in crate::sqlite) fn put_pending(
    tx: &Tx<'_>,
    put: &PutPending,
    event: &Event,
) -> Result<PendingOutcome, StoreError> {
    at_most("a TMK's block", put.block.len(), limits::KEY_BLOCK)?;
    load_counters::check(put.kcv, put.load_counter)?;
    if !suites::permitted(tx, &put.sn, KeyName::Slot(put.slot), suite_of(put.kcv), event.at)? {
        return Ok(PendingOutcome::LowerSuite);
    }
    if !load_counters::is_free(tx, (&put.sn, put.slot), put.load_counter)? {
        return Ok(PendingOutcome::CounterTaken);
    }
    let made = match insert(tx, put, event.at)? {
        Some(made) => Some(made),
        None => match why_not_pending(tx, put)? {
            Some(outcome) => return Ok(outcome),
            // What the terminal proved is of another suite than the key that waits: it cannot open that one.
            None => {
                drop_pending_in(tx, (&put.sn, put.slot), event.at)?;
                insert(tx, put, event.at)?
            }
        },
    };
    let Some((id, key_serial)) = made else { return Ok(PendingOutcome::SameCheckValue) };
    load_counters::take(tx, (&key_serial, put.slot), put.load_counter)?;
    let facts = match put.load_counter {
        None => json!({ "key": id }),
        Some(counter) => json!({ "key": id, "load_counter": counter }),
    };
    tx.append(&with_facts(event, facts))?;
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

fn insert(tx: &Tx<'_>, put: &PutPending, at: i64) -> Result<Option<(i64, Serial)>, StoreError> {
    // A dropped key's check value does not come again either: its KEY_CONFIRM, heard before, would confirm this key.
    // All conditions are in the one statement that nearly always succeeds; which of them failed is asked afterwards.
    tx.prepare(
        "INSERT INTO tmks (sn, slot, state, key_serial, block, kcv, tk_generation, created_at, changed_at,
            sent_count)
         SELECT sn, ?2, 'pending', key_serial, ?3, ?4, tk_generation, ?6, ?6, 1
         FROM terminals WHERE sn = ?1 AND tk_generation = ?5
         AND NOT EXISTS (SELECT 1 FROM tmks WHERE sn = ?1 AND slot = ?2 AND state = 'active' AND kcv = ?4)
         AND NOT EXISTS (SELECT 1 FROM tmks WHERE sn = ?1 AND slot = ?2 AND state = 'retired' AND kcv = ?4)
         AND NOT EXISTS (SELECT 1 FROM tmks WHERE sn = ?1 AND slot = ?2 AND state = 'dropped' AND kcv = ?4)
         ON CONFLICT (sn, slot) WHERE state = 'pending' DO NOTHING
         RETURNING id, key_serial",
    )?
    .query_row(
        params![put.sn.as_str(), put.slot.index(), put.block, put.kcv.as_bytes(), put.tk_generation, at],
        |row| Ok((row.get(0)?, rows::serial(row, 1)?)),
    )
    .optional()
    .db()
}

/// Why a key could not be entered; `None` where a pending key of another suite stands in its way.
fn why_not_pending(tx: &Tx<'_>, put: &PutPending) -> Result<Option<PendingOutcome>, StoreError> {
    let generation = tx
        .prepare("SELECT tk_generation FROM terminals WHERE sn = ?1")?
        .query_row([put.sn.as_str()], |row| row.get::<_, i64>(0))
        .optional()
        .db()?
        .ok_or_else(|| StoreError::NoSuchTerminal(put.sn.clone()))?;
    if generation != put.tk_generation {
        return Ok(Some(PendingOutcome::StaleTk));
    }
    let Some(first) = pending_in(tx, put)? else { return Ok(Some(PendingOutcome::SameCheckValue)) };
    if first.suite() == suite_of(put.kcv) {
        return Ok(Some(PendingOutcome::Lost(first)));
    }
    let same = tx
        .prepare("SELECT 1 FROM tmks WHERE sn = ?1 AND slot = ?2 AND kcv = ?3 AND state <> 'pending'")?
        .exists(params![put.sn.as_str(), put.slot.index(), put.kcv.as_bytes()])
        .db()?;
    Ok(same.then_some(PendingOutcome::SameCheckValue))
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

/// Drops what is pending in one slot, and what would travel under it.
pub(super) fn drop_pending_in(tx: &Tx<'_>, (sn, slot): (&Serial, Slot), at: i64) -> Result<(), StoreError> {
    tx.prepare(
        "UPDATE tmks SET state = 'dropped', block = '', changed_at = ?3
         WHERE sn = ?1 AND slot = ?2 AND state = 'pending'",
    )?
    .execute(params![sn.as_str(), slot.index(), at])
    .db()?;
    working::drop_pending(tx, sn, Some(slot)).map(|_| ())
}

pub(in crate::sqlite) fn resend(
    tx: &Tx<'_>,
    key_id: i64,
    load_counter: Option<u64>,
    event: &Event,
) -> Result<ResendOutcome, StoreError> {
    let Some(Waiting { sn, slot, kcv }) = waiting(tx, key_id)? else { return Ok(ResendOutcome::Gone) };
    load_counters::check(kcv, load_counter)?;
    if !suites::permitted(tx, &sn, KeyName::Slot(slot), suite_of(kcv), event.at)? {
        return Ok(ResendOutcome::Gone);
    }
    if !load_counters::is_free(tx, (&sn, slot), load_counter)? {
        return Ok(ResendOutcome::CounterTaken);
    }
    let key = tx
        .prepare(concat!(
            "UPDATE tmks SET sent_count = sent_count + 1 WHERE id = ?1 AND state = 'pending' RETURNING ",
            key_columns!()
        ))?
        .query_row([key_id], rows::held_key)
        .db()?;
    load_counters::take(tx, (&key.key_serial, slot), load_counter)?;
    let facts = match load_counter {
        None => json!({ "key": key_id, "sent": key.sent_count }),
        Some(counter) => json!({ "key": key_id, "sent": key.sent_count, "load_counter": counter }),
    };
    tx.append(&with_facts(event, facts))?;
    Ok(ResendOutcome::Counted(key))
}

/// A pending key's place and check value.
struct Waiting {
    sn: Serial,
    slot: Slot,
    kcv: Kcv,
}

fn waiting(tx: &Tx<'_>, key_id: i64) -> Result<Option<Waiting>, StoreError> {
    tx.prepare("SELECT sn, slot, kcv FROM tmks WHERE id = ?1 AND state = 'pending'")?
        .query_row([key_id], |row| {
            Ok(Waiting { sn: rows::serial(row, 0)?, slot: rows::slot(row, 1)?, kcv: rows::kcv(row, 2)? })
        })
        .optional()
        .db()
}

/// Whether a pending key may still become active: it is of no lower suite than its slot has held, or an allowance runs.
pub(super) fn may_activate(tx: &Tx<'_>, key_id: i64, at: i64) -> Result<bool, StoreError> {
    let Some(Waiting { sn, slot, kcv }) = waiting(tx, key_id)? else { return Ok(true) };
    suites::permitted(tx, &sn, KeyName::Slot(slot), suite_of(kcv), at)
}

pub(in crate::sqlite) fn confirm(
    tx: &Tx<'_>,
    key_id: i64,
    event: &Event,
) -> Result<ConfirmOutcome, StoreError> {
    if !may_activate(tx, key_id, event.at)? {
        return Ok(ConfirmOutcome::Gone);
    }
    let Some(before) = activate(tx, key_id, event.at)? else {
        let active =
            tx.prepare("SELECT 1 FROM tmks WHERE id = ?1 AND state = 'active'")?.exists([key_id]).db()?;
        return Ok(if active { ConfirmOutcome::AlreadyActive } else { ConfirmOutcome::Gone });
    };
    tx.append(&with_facts(event, json!({ "key": key_id, "retired": before })))?;
    Ok(ConfirmOutcome::Activated)
}

/// Makes a pending key the active one of its slot, raises the slot's suite to its own, and gives the key that it retires,
/// if any; nothing happens to a key that is not pending. [`may_activate`] was asked before.
pub(super) fn activate(tx: &Tx<'_>, key_id: i64, at: i64) -> Result<Option<Option<i64>>, StoreError> {
    let Some(Waiting { sn, slot, kcv }) = waiting(tx, key_id)? else { return Ok(None) };
    let before = tx
        .prepare(
            "UPDATE tmks SET state = 'retired', changed_at = ?3 WHERE sn = ?1 AND slot = ?2 AND state = 'active'
             RETURNING id",
        )?
        .query_row(params![sn.as_str(), slot.index(), at], |row| row.get(0))
        .optional()
        .db()?;
    tx.prepare("UPDATE tmks SET state = 'active', changed_at = ?2 WHERE id = ?1")?
        .execute(params![key_id, at])
        .db()?;
    suites::record(tx, &sn, KeyName::Slot(slot), suite_of(kcv), at)?;
    Ok(Some(before))
}

/// Enters a key that the terminal has already, loaded by a KLD or by another system, as the active one of its slot. No
/// other may be pending there.
pub(super) fn put_active(
    tx: &Tx<'_>,
    (sn, slot): (&Serial, Slot),
    key_serial: &Serial,
    tk_generation: i64,
    (block, kcv): (&str, Kcv),
    at: i64,
) -> Result<(), StoreError> {
    let id: i64 = tx
        .prepare(
            "INSERT INTO tmks (sn, slot, state, key_serial, block, kcv, tk_generation, created_at, changed_at,
                sent_count)
             VALUES (?1, ?2, 'pending', ?3, ?4, ?5, ?6, ?7, ?7, 1) RETURNING id",
        )?
        .query_row(
            params![
                sn.as_str(),
                slot.index(),
                key_serial.as_str(),
                block,
                kcv.as_bytes(),
                tk_generation,
                at
            ],
            |row| row.get(0),
        )
        .db()?;
    activate(tx, id, at).map(|_| ())
}

pub(in crate::sqlite) fn drop_pending(tx: &Tx<'_>, sn: &Serial, event: &Event) -> Result<u64, StoreError> {
    let known = tx.prepare("SELECT 1 FROM terminals WHERE sn = ?1")?.exists([sn.as_str()]).db()?;
    if !known {
        return Err(StoreError::NoSuchTerminal(sn.clone()));
    }
    let (dropped, working) = drop_all_pending(tx, sn, event.at)?;
    tx.append(&with_facts(event, json!({ "dropped": dropped, "dropped_working": working })))?;
    Ok(dropped)
}

/// Drops pending TMKs, and working keys and sign-ins that wait too (2-wire.md section 4, Confirming); how many of each
/// sort of key. A dropped key's block is erased: nobody may use it again, so nobody need hold it.
pub(super) fn drop_all_pending(tx: &Tx<'_>, sn: &Serial, at: i64) -> Result<(u64, usize), StoreError> {
    let working = working::drop_pending(tx, sn, None)?;
    tx.prepare(
        "UPDATE tmks SET state = 'dropped', block = '', changed_at = ?2 WHERE sn = ?1 AND state = 'pending'",
    )?
    .execute(params![sn.as_str(), at])
    .db()
    .map(|n| (n as u64, working))
}

pub(super) fn retire_all_active(tx: &Tx<'_>, sn: &Serial, at: i64) -> Result<u64, StoreError> {
    tx.prepare("UPDATE tmks SET state = 'retired', changed_at = ?2 WHERE sn = ?1 AND state = 'active'")?
        .execute(params![sn.as_str(), at])
        .db()
        .map(|n| n as u64)
}
