//! Collection windows: opened by two people, used once.

use rusqlite::{OptionalExtension, params};
use serde_json::json;

use super::super::error::Db;
use super::super::writer::Tx;
use super::{collections, with_facts};
use crate::{
    CollectionImport, Event, ImportOutcome, OpenWindows, PerTerminal, StoreError, WindowOutcome,
    WindowsOutcome,
};

pub(in crate::sqlite) fn open(
    tx: &Tx<'_>,
    open: &OpenWindows,
    event: &Event,
) -> Result<WindowsOutcome, StoreError> {
    if open.asked_by.may_be(&open.opened_by) {
        return Ok(WindowsOutcome::SamePerson);
    }
    let again = tx
        .prepare("SELECT 1 FROM collection_windows WHERE request_digest = ?1")?
        .exists([open.request_digest])
        .db()?;
    if again {
        return Ok(WindowsOutcome::Duplicate);
    }
    let mut ids = Vec::with_capacity(open.serials.len());
    for sn in &open.serials {
        let id: i64 = tx
            .prepare(
                "INSERT INTO collection_windows (request_digest, sn, asked_by, asked_by_serial, opened_by,
                    opened_by_serial, opened_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id",
            )?
            .query_row(
                params![
                    open.request_digest,
                    sn.as_str(),
                    open.asked_by.subject,
                    open.asked_by.certificate_serial,
                    open.opened_by.subject,
                    open.opened_by.certificate_serial,
                    event.at,
                    open.expires_at
                ],
                |row| row.get(0),
            )
            .db()?;
        ids.push(id);
    }
    tx.append(&with_facts(event, json!({ "windows": ids })))?;
    Ok(WindowsOutcome::Opened(ids))
}

pub(in crate::sqlite) fn collect(
    tx: &Tx<'_>,
    window: i64,
    import: &CollectionImport,
    event: &Event,
) -> Result<WindowOutcome, StoreError> {
    let [terminal] = import.terminals.as_slice() else { return Ok(WindowOutcome::Closed) };
    let open: Option<bool> = tx
        .prepare(
            "SELECT used_at IS NULL AND expires_at > ?3 FROM collection_windows WHERE id = ?1 AND sn = ?2",
        )?
        .query_row(params![window, terminal.device.sn().as_str(), event.at], |row| row.get(0))
        .optional()
        .db()?;
    if open != Some(true) {
        return Ok(WindowOutcome::Closed);
    }
    let outcome = collections::import(tx, import, &with_facts(event, json!({ "window": window })))?;
    let taken = match &outcome {
        ImportOutcome::Duplicate => false,
        ImportOutcome::Stored(outcomes) => outcomes.iter().all(|outcome| {
            matches!(
                outcome,
                PerTerminal::Stored
                    | PerTerminal::AwaitsApproval { .. }
                    | PerTerminal::AlreadyKnown { same: true }
            )
        }),
    };
    if !taken {
        return Ok(WindowOutcome::NotTaken(outcome));
    }
    tx.prepare("UPDATE collection_windows SET used_at = ?2, fingerprint = ?3 WHERE id = ?1")?
        .execute(params![window, event.at, terminal.fingerprint])
        .db()?;
    Ok(WindowOutcome::Collected(outcome))
}
