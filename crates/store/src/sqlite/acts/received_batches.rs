//! Taking a vendor's batch at the KMS: one bad terminal does not spoil the others, and what is answered of each is kept
//! in the same transaction, so that the receipt is always the same.

use rusqlite::params;
use serde_json::{Value, json};
use wire::Serial;

use super::super::error::Db;
use super::super::reads::batches::received;
use super::super::writer::Tx;
use super::collections::{Package, Taking, enter};
use super::{at_most, batch_rights, batches, count, no_more, orders, with_facts};
use crate::audit::hex;
use crate::{
    BatchEntry, BatchImport, BatchOutcome, CollectedTerminal, Event, ItemResult, PerTerminal, ReceivedBatch,
    Refusal, StoreError, limits,
};

pub(in crate::sqlite) fn import(
    tx: &Tx<'_>,
    import: &BatchImport,
    event: &Event,
) -> Result<BatchOutcome, StoreError> {
    check(tx, import)?;
    // Before the order: what came before has its receipt, also when the order was closed since.
    if let Some(batch) = tx.read(|db| received(db, &import.content_digest))? {
        return Ok(BatchOutcome::Duplicate(batch));
    }
    let order = match orders::find(tx, &import.order)? {
        Some(order) if order.open && order.vendor == import.partner && order.buyer == import.acquirer => {
            order
        }
        _ => return Ok(BatchOutcome::WrongOrder),
    };
    let station = format!("batch of {} for {}", import.partner, import.order);
    let package = Package {
        digest: &import.digest,
        bytes: &import.package,
        signer: &import.signer,
        second_signer: None,
        acquirer: &import.acquirer,
        station: &station,
        collected_at: import.collected_at,
    };
    let Some(id) = enter(tx, &package, event.at)? else {
        // Its content is new, so only something else than a batch can have had this digest.
        return Err(StoreError::Invalid("these bytes were taken as another kind of package"));
    };
    let taking = Taking { tx, acquirer: &import.acquirer, collection: id, at: event.at, by_batch: true };
    let mut results = Vec::with_capacity(import.entries.len());
    let mut told = Vec::with_capacity(import.entries.len());
    for entry in &import.entries {
        let (result, detail) = match entry {
            BatchEntry::Malformed { sn, refusal } => {
                (refused(sn, refusal), json!({ "outcome": "refused", "code": refusal.code }))
            }
            BatchEntry::Terminal(terminal) => {
                // One that was refused is refused for that.
                let refusal = match terminal.refused {
                    Some(_) => None,
                    None => batch_rights::refused(tx, &order, &import.partner, terminal)?,
                };
                let outcome = match refusal {
                    Some(refusal) => PerTerminal::Refused(refusal),
                    None => taking.take(terminal)?,
                };
                (result_of(terminal, &outcome), detail_of(terminal, &outcome))
            }
        };
        batches::check_result(&result)?;
        results.push(result);
        told.push(detail);
    }
    let accepted = results.iter().filter(|result| result.ok).count();
    let facts = json!({ "batch": id, "order": import.order, "partner": import.partner,
                        "content": hex(&import.content_digest), "terminals": results.len(), "accepted": accepted });
    tx.append(&with_facts(event, facts))?;
    keep(tx, id, order.id, import, &results)?;
    for (result, detail) in results.iter().zip(told) {
        tx.append(&Event {
            at: event.at,
            kind: "batch.terminal".into(),
            actor: event.actor.clone(),
            subject: result.sn.clone(),
            detail: json!({ "batch": id, "result": detail }),
        })?;
    }
    Ok(BatchOutcome::Stored(ReceivedBatch {
        id,
        order: import.order.clone(),
        partner: import.partner.clone(),
        content_digest: import.content_digest,
        signer: import.signer.clone(),
        received_at: event.at,
        results,
    }))
}

fn check(tx: &Tx<'_>, import: &BatchImport) -> Result<(), StoreError> {
    at_most("a batch", import.package.len(), limits::PACKAGE)?;
    at_most("a partner's name", import.partner.len(), limits::NAME)?;
    no_more("terminals of a batch", import.entries.len(), limits::BATCH)?;
    if import.entries.is_empty() {
        return Err(StoreError::Invalid("a batch has at least one terminal"));
    }
    let known = tx.prepare("SELECT 1 FROM acquirers WHERE id = ?1")?.exists([&import.acquirer]).db()?;
    if known { Ok(()) } else { Err(StoreError::NoSuchAcquirer(import.acquirer.clone())) }
}

fn keep(
    tx: &Tx<'_>,
    id: i64,
    order: i64,
    import: &BatchImport,
    results: &[ItemResult],
) -> Result<(), StoreError> {
    let accepted = results.iter().filter(|result| result.ok).count();
    tx.prepare(
        "INSERT INTO received_batches (id, order_id, content_digest, partner, terminals, accepted)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![id, order, import.content_digest, import.partner, count(results.len()), count(accepted)])
    .db()?;
    for (position, result) in (0_i64..).zip(results) {
        tx.prepare(
            "INSERT INTO received_items (batch, position, sn, ok, code, text, fingerprint)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![id, position, result.sn, result.ok, result.code, result.text, result.fingerprint])
        .db()?;
    }
    Ok(())
}

fn refused(sn: &str, refusal: &Refusal) -> ItemResult {
    ItemResult {
        sn: sn.to_owned(),
        ok: false,
        code: refusal.code.clone(),
        text: refusal.text.clone(),
        fingerprint: None,
    }
}

/// What the MTMS is told of one terminal.
fn result_of(terminal: &CollectedTerminal, outcome: &PerTerminal) -> ItemResult {
    let (ok, code, text) = match outcome {
        PerTerminal::Stored => (true, "stored", "stored; the terminal can download".to_owned()),
        PerTerminal::AwaitsApproval { id } => {
            (true, "awaits-approval", format!("kept as replacement {id} until a second person approves it"))
        }
        PerTerminal::AlreadyKnown { same: true } => {
            (true, "already-stored", "this very key is stored already".to_owned())
        }
        PerTerminal::AlreadyKnown { same: false } => (
            false,
            "already-known",
            "this terminal is known already; to give it this key, collect it anew with \"replaces\" and have a second \
             person at the KMS approve"
                .to_owned(),
        ),
        PerTerminal::SerialPairTaken { by } => {
            (false, "pin-pad-taken", format!("the PIN pad is recorded with terminal {by}"))
        }
        PerTerminal::OtherAcquirer => {
            (false, "other-acquirer", "the serial is recorded with another acquirer".to_owned())
        }
        PerTerminal::Refused(refusal) => return refused(terminal.device.sn().as_str(), refusal),
    };
    ItemResult {
        sn: terminal.device.sn().to_string(),
        ok,
        code: code.to_owned(),
        text,
        fingerprint: Some(terminal.fingerprint.clone()),
    }
}

/// What the audit is told of one terminal.
fn detail_of(terminal: &CollectedTerminal, outcome: &PerTerminal) -> Value {
    let result = result_of(terminal, outcome);
    json!({
        "outcome": if result.ok { &*result.code } else { "refused" },
        "code": result.code,
        "text": result.text,
        "pin_pad": terminal.device.external_pin_pad().map(Serial::as_str),
        "fingerprint": terminal.fingerprint,
        "suite": terminal.tk.suite().byte(),
        "collected_under": terminal.work_certificate_sha256,
    })
}
