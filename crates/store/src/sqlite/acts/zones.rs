//! Zone keys, and what a POSP calls terminals.

use rusqlite::{OptionalExtension, params};
use serde_json::json;

use super::super::error::Db;
use super::super::rows;
use super::super::writer::Tx;
use super::{at_most, no_more, with_facts};
use crate::audit::hex;
use crate::{Event, MapOutcome, NewZoneKey, StoreError, TerminalIdentity, limits};
use wire::Serial;

pub(in crate::sqlite) fn put_key(tx: &Tx<'_>, key: &NewZoneKey, event: &Event) -> Result<(), StoreError> {
    at_most("a zone's name", key.zone.len(), limits::NAME)?;
    at_most("a zone key's algorithm", key.algorithm.len(), limits::NAME)?;
    at_most("a zone key's block", key.block.len(), limits::KEY_BLOCK)?;
    at_most("a zone key's check value", key.kcv.len(), limits::NAME)?;
    let before: Option<i64> = tx
        .prepare(
            "UPDATE zone_keys SET state = 'retired', block = '', changed_at = ?2
             WHERE zone = ?1 AND state = 'active' RETURNING id",
        )?
        .query_row(params![key.zone, event.at], |row| row.get(0))
        .optional()
        .db()?;
    let id: i64 = tx
        .prepare(
            "INSERT INTO zone_keys (zone, state, algorithm, block, kcv, created_at, changed_at)
             VALUES (?1, 'active', ?2, ?3, ?4, ?5, ?5) RETURNING id",
        )?
        .query_row(params![key.zone, key.algorithm, key.block, key.kcv, event.at], |row| row.get(0))
        .db()?;
    let facts = json!({ "key": id, "zone": key.zone, "kcv": hex(&key.kcv), "retired": before });
    tx.append(&with_facts(event, facts)).map(|_| ())
}

pub(in crate::sqlite) fn map_identities(
    tx: &Tx<'_>,
    identities: &[TerminalIdentity],
    event: &Event,
) -> Result<Vec<MapOutcome>, StoreError> {
    no_more("identities", identities.len(), limits::IMPORT)?;
    tx.append(&with_facts(event, json!({ "identities": identities.len() })))?;
    let mut outcomes = Vec::with_capacity(identities.len());
    for identity in identities {
        let outcome = map(tx, identity, event.at)?;
        if outcome == MapOutcome::Stored {
            tx.append(&Event {
                at: event.at,
                kind: "identity.mapped".into(),
                actor: event.actor.clone(),
                subject: identity.sn.to_string(),
                detail: json!({ "terminal_id": identity.terminal_id, "merchant_id": identity.merchant_id }),
            })?;
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn map(tx: &Tx<'_>, identity: &TerminalIdentity, at: i64) -> Result<MapOutcome, StoreError> {
    let sn = identity.sn.as_str();
    check(&identity.terminal_id, &identity.merchant_id)?;
    if !tx.prepare("SELECT 1 FROM terminals WHERE sn = ?1")?.exists([sn]).db()? {
        return Ok(MapOutcome::UnknownTerminal);
    }
    if let Some(by) = terminal_id_taken(tx, &identity.sn, &identity.terminal_id)? {
        return Ok(MapOutcome::TerminalIdTaken(by));
    }
    put(tx, identity, at)?;
    Ok(MapOutcome::Stored)
}

/// What an identity may be.
pub(super) fn check(terminal_id: &str, merchant_id: &str) -> Result<(), StoreError> {
    at_most("a terminal id", terminal_id.len(), limits::IDENTITY)?;
    at_most("a merchant id", merchant_id.len(), limits::IDENTITY)?;
    if terminal_id.is_empty() { Err(StoreError::Invalid("a terminal id is not empty")) } else { Ok(()) }
}

/// The terminal other than `sn` that is called so.
pub(super) fn terminal_id_taken(
    tx: &Tx<'_>,
    sn: &Serial,
    terminal_id: &str,
) -> Result<Option<Serial>, StoreError> {
    tx.prepare("SELECT sn FROM identities WHERE terminal_id = ?1 AND sn <> ?2")?
        .query_row([terminal_id, sn.as_str()], |row| rows::serial(row, 0))
        .optional()
        .db()
}

pub(super) fn put(tx: &Tx<'_>, identity: &TerminalIdentity, at: i64) -> Result<(), StoreError> {
    tx.prepare(
        "INSERT INTO identities (sn, terminal_id, merchant_id, changed_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (sn) DO UPDATE SET terminal_id = ?2, merchant_id = ?3, changed_at = ?4",
    )?
    .execute(params![identity.sn.as_str(), identity.terminal_id, identity.merchant_id, at])
    .db()
    .map(|_| ())
}
