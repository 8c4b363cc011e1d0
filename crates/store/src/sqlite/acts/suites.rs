//! Which suite each key is on: raised by the acts that take a key into use, lowered only while an allowance runs. The
//! layout's own triggers say the same.

use rusqlite::{OptionalExtension, params};
use serde_json::json;
use wire::{Serial, Suite};

use super::super::error::Db;
use super::super::rows;
use super::super::writer::Tx;
use super::{at_most, with_facts};
use crate::{AllowOutcome, AllowSuite, Event, KeyName, Refusal, StoreError, limits};

/// Whether a key of `suite` may be taken into use: it is none that the terminal has moved up from, or an allowance
/// runs.
pub(super) fn permitted(
    tx: &Tx<'_>,
    sn: &Serial,
    key: KeyName,
    suite: Suite,
    at: i64,
) -> Result<bool, StoreError> {
    let proved: Option<Suite> = tx
        .prepare("SELECT suite FROM key_suites WHERE sn = ?1 AND key = ?2")?
        .query_row(params![sn.as_str(), key.to_string()], |row| rows::suite(row, 0))
        .optional()
        .db()?;
    if proved.is_none_or(|proved| suite >= proved) {
        return Ok(true);
    }
    tx.prepare(
        "SELECT 1 FROM suite_allowances WHERE sn = ?1 AND suite <= ?2 AND ended_at IS NULL AND until > ?3",
    )?
    .exists(params![sn.as_str(), suite.byte(), at])
    .db()
}

/// Records that a key of `suite` is in use from now on; [`permitted`] was asked before.
pub(super) fn record(
    tx: &Tx<'_>,
    sn: &Serial,
    key: KeyName,
    suite: Suite,
    at: i64,
) -> Result<(), StoreError> {
    tx.prepare(
        "INSERT INTO key_suites (sn, key, suite, in_use, since) VALUES (?1, ?2, ?3, ?3, ?4)
         ON CONFLICT (sn, key) DO UPDATE
         SET suite = max(suite, excluded.suite), in_use = excluded.in_use, since = excluded.since",
    )?
    .execute(params![sn.as_str(), key.to_string(), suite.byte(), at])
    .db()
    .map(|_| ())
}

/// What a terminal of a package or report is told.
pub(super) fn lower_suite(key: KeyName, suite: Suite) -> Refusal {
    let text = format!(
        "the terminal's {key} was of a higher suite than {suite}; two people must allow the lower one first"
    );
    Refusal { code: "lower-suite".into(), text }
}

pub(in crate::sqlite) fn allow(
    tx: &Tx<'_>,
    allow: &AllowSuite,
    event: &Event,
) -> Result<AllowOutcome, StoreError> {
    at_most("a reason", allow.reason.len(), limits::REASON)?;
    if allow.reason.is_empty() {
        return Err(StoreError::Invalid("an allowance has a reason"));
    }
    if allow.asked_by.may_be(&allow.approved_by) {
        return Ok(AllowOutcome::SamePerson);
    }
    let known = tx.prepare("SELECT 1 FROM terminals WHERE sn = ?1")?.exists([allow.sn.as_str()]).db()?;
    if !known {
        return Err(StoreError::NoSuchTerminal(allow.sn.clone()));
    }
    let again =
        tx.prepare("SELECT 1 FROM suite_allowances WHERE digest = ?1")?.exists([allow.digest]).db()?;
    if again {
        return Ok(AllowOutcome::Duplicate);
    }
    let ended: Option<i64> = tx
        .prepare(
            "UPDATE suite_allowances SET ended_at = min(?2, until) WHERE sn = ?1 AND ended_at IS NULL RETURNING id",
        )?
        .query_row(params![allow.sn.as_str(), event.at], |row| row.get(0))
        .optional()
        .db()?;
    if allow.until <= event.at {
        if ended.is_none() {
            return Ok(AllowOutcome::NothingToEnd);
        }
        tx.append(&with_facts(event, json!({ "ended": ended })))?;
        return Ok(AllowOutcome::Ended);
    }
    let id: i64 = tx
        .prepare(
            "INSERT INTO suite_allowances (digest, sn, suite, reason, asked_by, asked_by_serial, approved_by,
                approved_by_serial, allowed_at, until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING id",
        )?
        .query_row(
            params![
                allow.digest,
                allow.sn.as_str(),
                allow.suite.byte(),
                allow.reason,
                allow.asked_by.subject,
                allow.asked_by.certificate_serial,
                allow.approved_by.subject,
                allow.approved_by.certificate_serial,
                event.at,
                allow.until
            ],
            |row| row.get(0),
        )
        .db()?;
    tx.append(&with_facts(event, json!({ "allowance": id, "ended": ended })))?;
    Ok(AllowOutcome::Allowed { id })
}
