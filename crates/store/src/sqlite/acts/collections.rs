//! Taking a collected package (2-wire.md section 6): one bad terminal does not spoil the others.

use rusqlite::{OptionalExtension, params};
use serde_json::{Value, json};
use wire::Serial;

use super::super::error::Db;
use super::super::rows;
use super::super::writer::Tx;
use super::{at_most, with_facts};
use crate::audit::hex;
use crate::{CollectedTerminal, CollectionImport, Event, ImportOutcome, PerTerminal, StoreError, limits};

pub(in crate::sqlite) fn import(
    tx: &Tx<'_>,
    import: &CollectionImport,
    event: &Event,
) -> Result<ImportOutcome, StoreError> {
    at_most("a collection", import.package.len(), limits::PACKAGE)?;
    let known = tx.prepare("SELECT 1 FROM acquirers WHERE id = ?1")?.exists([&import.acquirer]).db()?;
    if !known {
        return Err(StoreError::NoSuchAcquirer(import.acquirer.clone()));
    }
    let Some(collection) = enter(tx, import, event)? else { return Ok(ImportOutcome::Duplicate) };
    tx.append(&with_facts(
        event,
        json!({ "collection": collection, "digest": hex(&import.digest), "terminals": import.terminals.len() }),
    ))?;
    let mut outcomes = Vec::with_capacity(import.terminals.len());
    for collected in &import.terminals {
        let outcome = take(tx, &import.acquirer, collection, collected, event.at)?;
        tx.append(&Event {
            at: event.at,
            kind: "collection.terminal".into(),
            actor: event.actor.clone(),
            subject: collected.device.sn().to_string(),
            detail: told(collected, collection, &outcome),
        })?;
        outcomes.push(outcome);
    }
    Ok(ImportOutcome::Stored(outcomes))
}

/// The package itself; `None` if these bytes were taken before.
fn enter(tx: &Tx<'_>, import: &CollectionImport, event: &Event) -> Result<Option<i64>, StoreError> {
    tx.prepare(
        "INSERT INTO collections
            (digest, package, signer, signer_serial, acquirer, station, collected_at, uploaded_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (digest) DO NOTHING RETURNING id",
    )?
    .query_row(
        params![
            import.digest,
            import.package,
            import.signer.subject,
            import.signer.certificate_serial,
            import.acquirer,
            import.station,
            import.collected_at,
            event.at
        ],
        |row| row.get(0),
    )
    .optional()
    .db()
}

fn take(
    tx: &Tx<'_>,
    acquirer: &str,
    collection: i64,
    collected: &CollectedTerminal,
    at: i64,
) -> Result<PerTerminal, StoreError> {
    if let Some(refusal) = &collected.refused {
        return Ok(PerTerminal::Refused(refusal.clone()));
    }
    at_most("a Ctk_Pu", collected.ctk_pu.len(), limits::CTK_PU)?;
    let work_key_known = tx
        .prepare("SELECT 1 FROM work_keys WHERE certificate_sha256 = ?1 AND role = 'kms-work'")?
        .exists([&collected.work_certificate_sha256])
        .db()?;
    if !work_key_known {
        return Err(StoreError::NoSuchCertificate(collected.work_certificate_sha256.clone()));
    }
    if let Some(by) = pad_taken(tx, collected.device.sn(), collected.device.pin_pad())? {
        return Ok(PerTerminal::SerialPairTaken { by });
    }
    let known: Option<Known> = tx
        .prepare("SELECT key_serial, acquirer, fingerprint FROM terminals WHERE sn = ?1")?
        .query_row([collected.device.sn().as_str()], |row| {
            Ok(Known { key_serial: row.get(0)?, acquirer: row.get(1)?, fingerprint: row.get(2)? })
        })
        .optional()
        .db()?;
    let Some(known) = known else {
        insert(tx, acquirer, collection, collected, at)?;
        return Ok(PerTerminal::Stored);
    };
    if known.acquirer != acquirer {
        return Ok(PerTerminal::OtherAcquirer);
    }
    let same =
        known.key_serial == collected.device.pin_pad().as_str() && known.fingerprint == collected.fingerprint;
    if same || !collected.replaces {
        return Ok(PerTerminal::AlreadyKnown { same });
    }
    let id = wait(tx, collection, collected, at)?;
    Ok(PerTerminal::AwaitsApproval { id })
}

struct Known {
    key_serial: String,
    acquirer: String,
    fingerprint: String,
}

/// The terminal other than `sn` that keys at `key_serial` belong to.
pub(super) fn pad_taken(tx: &Tx<'_>, sn: &Serial, key_serial: &Serial) -> Result<Option<Serial>, StoreError> {
    tx.prepare("SELECT sn FROM terminals WHERE key_serial = ?1 AND sn <> ?2")?
        .query_row([key_serial.as_str(), sn.as_str()], |row| rows::serial(row, 0))
        .optional()
        .db()
}

fn insert(
    tx: &Tx<'_>,
    acquirer: &str,
    collection: i64,
    collected: &CollectedTerminal,
    at: i64,
) -> Result<(), StoreError> {
    tx.prepare(
        "INSERT INTO terminals
            (sn, key_serial, acquirer, vendor, model, suite, ctk_pu, work_certificate_sha256, tk_generation,
             fingerprint, collection, created_at, changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9, ?10, ?11, ?11)",
    )?
    .execute(params![
        collected.device.sn().as_str(),
        collected.device.pin_pad().as_str(),
        acquirer,
        collected.vendor,
        collected.model,
        collected.suite,
        collected.ctk_pu,
        collected.work_certificate_sha256,
        collected.fingerprint,
        collection,
        at
    ])
    .db()
    .map(|_| ())
}

/// Keeps a replacement aside. A later one overtakes an earlier: approvals name an id and a fingerprint, so an
/// approver who looked at the earlier one approves nothing else.
fn wait(tx: &Tx<'_>, collection: i64, collected: &CollectedTerminal, at: i64) -> Result<i64, StoreError> {
    let sn = collected.device.sn().as_str();
    tx.prepare(
        "UPDATE replacements SET state = 'overtaken', decided_at = ?2 WHERE sn = ?1 AND state = 'waiting'",
    )?
    .execute(params![sn, at])
    .db()?;
    tx.prepare(
        "INSERT INTO replacements
            (sn, key_serial, vendor, model, suite, ctk_pu, work_certificate_sha256, fingerprint, collection, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'waiting') RETURNING id",
    )?
    .query_row(
        params![
            sn,
            collected.device.pin_pad().as_str(),
            collected.vendor,
            collected.model,
            collected.suite,
            collected.ctk_pu,
            collected.work_certificate_sha256,
            collected.fingerprint,
            collection
        ],
        |row| row.get(0),
    )
    .db()
}

/// What the audit is told about one terminal of the package.
fn told(collected: &CollectedTerminal, collection: i64, outcome: &PerTerminal) -> Value {
    let result = match outcome {
        PerTerminal::Stored => json!({ "outcome": "stored" }),
        PerTerminal::AwaitsApproval { id } => json!({ "outcome": "awaits-approval", "replacement": id }),
        PerTerminal::AlreadyKnown { same } => json!({ "outcome": "already-known", "same": same }),
        PerTerminal::SerialPairTaken { by } => json!({ "outcome": "serial-pair-taken", "by": by.as_str() }),
        PerTerminal::OtherAcquirer => json!({ "outcome": "other-acquirer" }),
        PerTerminal::Refused(refusal) => {
            json!({ "outcome": "refused", "code": refusal.code, "text": refusal.text })
        }
    };
    json!({
        "collection": collection,
        "pin_pad": collected.device.external_pin_pad().map(Serial::as_str),
        "fingerprint": collected.fingerprint,
        "work_certificate": collected.work_certificate_sha256,
        "result": result,
    })
}
