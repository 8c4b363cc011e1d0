//! Sign-ins: working keys that wait for their confirmation, and the TMK that is confirmed with them.

use rusqlite::{OptionalExtension, params};
use serde_json::json;
use wire::{Serial, Slot};

use super::super::error::Db;
use super::super::writer::Tx;
use super::{at_most, no_more, tmks, with_facts, working};
use crate::{ConfirmOutcome, Event, SignInKeys, SignInOutcome, StoreError, limits};

pub(in crate::sqlite) fn begin(
    tx: &Tx<'_>,
    keys: &SignInKeys,
    event: &Event,
) -> Result<SignInOutcome, StoreError> {
    no_more("keys of a sign-in", keys.keys.len(), limits::SIGN_IN_KEYS)?;
    if keys.keys.is_empty() {
        return Err(StoreError::Invalid("a sign-in has a key at least"));
    }
    for (n, key) in keys.keys.iter().enumerate() {
        at_most("a working key's block", key.block.len(), limits::KEY_BLOCK)?;
        if keys.keys.iter().take(n).any(|before| before.kind == key.kind) {
            return Err(StoreError::Invalid("a sign-in has one key of each kind"));
        }
    }
    let key_serial = working::key_serial(tx, &keys.sn)?;
    let held = tx
        .prepare(
            "SELECT 1 FROM tmks WHERE id = ?1 AND sn = ?2 AND slot = ?3 AND state IN ('pending', 'active')",
        )?
        .exists(params![keys.tmk, keys.sn.as_str(), keys.slot.index()])
        .db()?;
    if !held {
        return Ok(SignInOutcome::Gone);
    }
    working::drop_pending(tx, &keys.sn, Some(keys.slot))?;
    tx.prepare("INSERT INTO sign_ins (sn, slot, tmk, rnd1, created_at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![keys.sn.as_str(), keys.slot.index(), keys.tmk, keys.rnd1, event.at])
        .db()?;
    let ids = keys
        .keys
        .iter()
        .map(|key| working::insert(tx, (&keys.sn, keys.slot), &key_serial, key, event.at))
        .collect::<Result<Vec<_>, _>>()?;
    tx.append(&with_facts(event, json!({ "tmk": keys.tmk, "keys": ids })))?;
    Ok(SignInOutcome::Stored(ids))
}

pub(in crate::sqlite) fn confirm(
    tx: &Tx<'_>,
    (sn, slot): (&Serial, Slot),
    keys: &[i64],
    event: &Event,
) -> Result<ConfirmOutcome, StoreError> {
    let sign_in: Option<(i64, String)> = tx
        .prepare("SELECT s.tmk, t.state FROM sign_ins s JOIN tmks t ON t.id = s.tmk WHERE s.sn = ?1 AND s.slot = ?2")?
        .query_row(params![sn.as_str(), slot.index()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .db()?;
    let mut asked = keys.to_vec();
    asked.sort_unstable();
    let Some((tmk, state)) = sign_in else {
        let active = !asked.is_empty() && asked == held(tx, (sn, slot), "active")?;
        return Ok(if active { ConfirmOutcome::AlreadyActive } else { ConfirmOutcome::Gone });
    };
    let tmk_is_held = state == "pending" || state == "active";
    if asked.is_empty()
        || !tmk_is_held
        || !tmks::may_activate(tx, tmk, event.at)?
        || asked != held(tx, (sn, slot), "pending")?
    {
        return Ok(ConfirmOutcome::Gone);
    }
    let place = params![sn.as_str(), slot.index()];
    tx.prepare("DELETE FROM sign_ins WHERE sn = ?1 AND slot = ?2")?.execute(place).db()?;
    // A working key that is replaced goes for good: it opens nothing that is kept. A track key without a successor goes
    // too: the terminal does not hold it any more.
    tx.prepare("DELETE FROM working_keys WHERE sn = ?1 AND slot = ?2 AND state = 'active'")?
        .execute(place)
        .db()?;
    tx.prepare(
        "UPDATE working_keys SET state = 'active', changed_at = ?3 WHERE sn = ?1 AND slot = ?2 AND state = 'pending'",
    )?
    .execute(params![sn.as_str(), slot.index(), event.at])
    .db()?;
    let activated = tmks::activate(tx, tmk, event.at)?;
    let facts = json!({
        "tmk": tmk,
        "keys": asked,
        "tmk_activated": activated.is_some(),
        "retired": activated.flatten(),
    });
    tx.append(&with_facts(event, facts))?;
    Ok(ConfirmOutcome::Activated)
}

/// The ids of a slot's working keys, in order.
fn held(tx: &Tx<'_>, (sn, slot): (&Serial, Slot), state: &str) -> Result<Vec<i64>, StoreError> {
    tx.prepare("SELECT id FROM working_keys WHERE sn = ?1 AND slot = ?2 AND state = ?3 ORDER BY id")?
        .query_map(params![sn.as_str(), slot.index(), state], |row| row.get(0))
        .and_then(Iterator::collect)
        .db()
}

pub(in crate::sqlite) fn count_uses(tx: &Tx<'_>, uses: &[(i64, u64)]) -> Result<(), StoreError> {
    no_more("working keys whose uses are counted", uses.len(), limits::USES)?;
    let mut count = tx.prepare("UPDATE working_keys SET uses = uses + ?2 WHERE id = ?1")?;
    for (id, n) in uses {
        // A count that no key reaches, far from the end of SQLite's integers.
        count.execute(params![id, i64::from(u32::try_from(*n).unwrap_or(u32::MAX))]).db()?;
    }
    Ok(())
}
