//! The second person's word on a replacement.

use rusqlite::{OptionalExtension, params};
use serde_json::json;
use wire::{Serial, Suite};

use super::super::error::Db;
use super::super::rows;
use super::super::writer::Tx;
use super::collections::pad_taken;
use super::{ceremonies, suites, tmks, with_facts, working};
use crate::{Approval, ApprovalOutcome, Event, KeyName, NewDeviceCertificate, Person, StoreError};

struct Waiting {
    sn: Serial,
    key_serial: Serial,
    current_key_serial: Serial,
    fingerprint: String,
    signer: Person,
    suite: Suite,
}

pub(in crate::sqlite) fn approve(
    tx: &Tx<'_>,
    approval: &Approval,
    event: &Event,
) -> Result<ApprovalOutcome, StoreError> {
    let Some(waiting) = waiting(tx, approval.id)? else { return Ok(ApprovalOutcome::NotWaiting) };
    if waiting.fingerprint != approval.fingerprint {
        return Ok(ApprovalOutcome::OtherFingerprint);
    }
    if waiting.signer.may_be(&approval.approver) {
        return Ok(ApprovalOutcome::SamePerson);
    }
    if !suites::permitted(tx, &waiting.sn, KeyName::Tk, waiting.suite, event.at)? {
        return Ok(ApprovalOutcome::LowerSuite);
    }
    if let Some(by) = pad_taken(tx, &waiting.sn, &waiting.key_serial)? {
        return Ok(ApprovalOutcome::SerialPairTaken { by });
    }
    decide(tx, approval, "approved", event.at)?;
    let (dropped, dropped_working) = tmks::drop_all_pending(tx, &waiting.sn, event.at)?;
    // Keys lie in the PIN pad: with another pad, what the old one holds is of no use to this terminal.
    let (retired, lost_working) = if waiting.key_serial == waiting.current_key_serial {
        (0, 0)
    } else {
        (tmks::retire_all_active(tx, &waiting.sn, event.at)?, working::drop_active(tx, &waiting.sn)?)
    };
    give_device(tx, approval.id, &waiting, event.at)?;
    let tk_generation = give_new_tk(tx, approval.id, event.at)?;
    suites::record(tx, &waiting.sn, KeyName::Tk, waiting.suite, event.at)?;
    tx.append(&with_facts(
        event,
        json!({
            "replacement": approval.id,
            "fingerprint": waiting.fingerprint,
            "signer": waiting.signer.subject,
            "approver": approval.approver.subject,
            "approver_serial": approval.approver.certificate_serial,
            "tk_generation": tk_generation,
            "suite": waiting.suite.byte(),
            "dropped": dropped,
            "retired": retired,
            "dropped_working": dropped_working + lost_working,
        }),
    ))?;
    Ok(ApprovalOutcome::Approved { tk_generation, dropped, retired })
}

pub(in crate::sqlite) fn reject(
    tx: &Tx<'_>,
    approval: &Approval,
    event: &Event,
) -> Result<ApprovalOutcome, StoreError> {
    let Some(waiting) = waiting(tx, approval.id)? else { return Ok(ApprovalOutcome::NotWaiting) };
    if waiting.fingerprint != approval.fingerprint {
        return Ok(ApprovalOutcome::OtherFingerprint);
    }
    decide(tx, approval, "rejected", event.at)?;
    tx.append(&with_facts(
        event,
        json!({
            "replacement": approval.id,
            "fingerprint": waiting.fingerprint,
            "rejecter": approval.approver.subject,
            "rejecter_serial": approval.approver.certificate_serial,
        }),
    ))?;
    Ok(ApprovalOutcome::Rejected)
}

fn waiting(tx: &Tx<'_>, id: i64) -> Result<Option<Waiting>, StoreError> {
    tx.prepare(
        "SELECT r.sn, r.key_serial, t.key_serial, r.fingerprint, c.signer, c.signer_serial, r.suite
         FROM replacements r JOIN terminals t ON t.sn = r.sn JOIN collections c ON c.id = r.collection
         WHERE r.id = ?1 AND r.state = 'waiting'",
    )?
    .query_row([id], |row| {
        Ok(Waiting {
            sn: rows::serial(row, 0)?,
            key_serial: rows::serial(row, 1)?,
            current_key_serial: rows::serial(row, 2)?,
            fingerprint: row.get(3)?,
            signer: Person { subject: row.get(4)?, certificate_serial: row.get(5)? },
            suite: rows::suite(row, 6)?,
        })
    })
    .optional()
    .db()
}

fn decide(tx: &Tx<'_>, approval: &Approval, state: &str, at: i64) -> Result<(), StoreError> {
    tx.prepare(
        "UPDATE replacements SET state = ?2, decided_by = ?3, decided_by_serial = ?4, decided_at = ?5
         WHERE id = ?1",
    )?
    .execute(params![approval.id, state, approval.approver.subject, approval.approver.certificate_serial, at])
    .db()
    .map(|_| ())
}

/// Keeps the device key that signed the new TK. Where its PIN pad came to sign a later one meanwhile, for another terminal,
/// this one is of no use any more.
fn give_device(tx: &Tx<'_>, id: i64, waiting: &Waiting, at: i64) -> Result<(), StoreError> {
    let device: Option<(NewDeviceCertificate, i64)> = tx
        .prepare(
            "SELECT device_spki_sha256, device_sha256, device_der, device_generation FROM replacements
             WHERE id = ?1 AND device_der IS NOT NULL",
        )?
        .query_row([id], |row| {
            let device =
                NewDeviceCertificate { spki_sha256: row.get(0)?, sha256: row.get(1)?, der: row.get(2)? };
            Ok((device, row.get(3)?))
        })
        .optional()
        .db()?;
    let Some((device, generation)) = device else { return Ok(()) };
    let generation = generation.unsigned_abs();
    if ceremonies::generation(tx, &waiting.key_serial)?.is_some_and(|before| generation <= before) {
        return Err(StoreError::Invalid(
            "the PIN pad signed a later TK since: reject this replacement and collect the terminal anew",
        ));
    }
    ceremonies::keep(tx, (&waiting.sn, &waiting.key_serial), &device, generation, at)
}

fn give_new_tk(tx: &Tx<'_>, id: i64, at: i64) -> Result<i64, StoreError> {
    tx.prepare(
        "UPDATE terminals SET
            key_serial = r.key_serial, vendor = coalesce(r.vendor, terminals.vendor),
            model = coalesce(r.model, terminals.model), suite = r.suite, ctk_pu = r.ctk_pu,
            work_certificate_sha256 = iif(r.ctk_pu IS NULL, NULL, r.work_certificate_sha256),
            tek = r.tek, auk = r.auk, tk_digest = r.tk_digest, device_generation = r.device_generation,
            collected_under = r.work_certificate_sha256,
            tk_generation = terminals.tk_generation + 1, fingerprint = r.fingerprint,
            collection = r.collection, changed_at = ?2
         FROM replacements r WHERE r.id = ?1 AND terminals.sn = r.sn
         RETURNING tk_generation",
    )?
    .query_row(params![id, at], |row| row.get(0))
    .db()
}
