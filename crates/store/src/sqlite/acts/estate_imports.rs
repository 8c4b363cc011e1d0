//! Estates that move in: terminals with the keys that they hold already. One bad terminal does not spoil the others.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};
use serde_json::{Value, json};

use super::super::error::Db;
use super::super::writer::Tx;
use super::collections::pad_taken;
use super::{at_most, no_more, suites, tmks, with_facts, zones};
use crate::audit::hex;
use crate::{
    EstateImport, Event, ImportedOutcome, ImportedTerminal, KeyName, StoreError, TerminalIdentity, limits,
    suite_of,
};

pub(in crate::sqlite) fn import(
    tx: &Tx<'_>,
    import: &EstateImport,
    event: &Event,
) -> Result<Vec<ImportedOutcome>, StoreError> {
    no_more("terminals of an import", import.terminals.len(), limits::IMPORT)?;
    at_most("an import's source", import.source.len(), limits::NAME)?;
    let known = tx.prepare("SELECT 1 FROM acquirers WHERE id = ?1")?.exists([&import.acquirer]).db()?;
    if !known {
        return Err(StoreError::NoSuchAcquirer(import.acquirer.clone()));
    }
    let id = enter(tx, import, event)?;
    let facts = json!({ "import": id, "digest": hex(&import.digest), "terminals": import.terminals.len() });
    tx.append(&with_facts(event, facts))?;
    let mut outcomes = Vec::with_capacity(import.terminals.len());
    for terminal in &import.terminals {
        let outcome = take(tx, import, id, terminal, event.at)?;
        tx.append(&Event {
            at: event.at,
            kind: "import.terminal".into(),
            actor: event.actor.clone(),
            subject: terminal.device.sn().to_string(),
            detail: told(id, terminal, outcome),
        })?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// The import's own row, made by its first act.
fn enter(tx: &Tx<'_>, import: &EstateImport, event: &Event) -> Result<i64, StoreError> {
    let before: Option<(i64, bool)> = tx
        .prepare(
            "SELECT c.id, i.id IS NOT NULL FROM collections c LEFT JOIN estate_imports i ON i.id = c.id
             WHERE c.digest = ?1",
        )?
        .query_row([import.digest], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .db()?;
    match before {
        Some((id, true)) => return Ok(id),
        Some((_, false)) => {
            return Err(StoreError::AlreadyThere { what: "signed package", id: hex(&import.digest) });
        }
        None => {}
    }
    let id: i64 = tx
        .prepare(
            "INSERT INTO collections
                (digest, package, signer, signer_serial, acquirer, station, collected_at, uploaded_at)
             VALUES (?1, x'', ?2, '', ?3, ?4, ?5, ?5) RETURNING id",
        )?
        .query_row(params![import.digest, event.actor, import.acquirer, import.source, event.at], |row| {
            row.get(0)
        })
        .db()?;
    tx.prepare("INSERT INTO estate_imports (id, source) VALUES (?1, ?2)")?
        .execute(params![id, import.source])
        .db()?;
    Ok(id)
}

fn take(
    tx: &Tx<'_>,
    import: &EstateImport,
    id: i64,
    terminal: &ImportedTerminal,
    at: i64,
) -> Result<ImportedOutcome, StoreError> {
    let (sn, pad) = (terminal.device.sn(), terminal.device.pin_pad());
    let mut slots = BTreeSet::new();
    for (slot, block, _) in &terminal.tmks {
        at_most("a TMK's block", block.len(), limits::KEY_BLOCK)?;
        if !slots.insert(slot.index()) {
            return Ok(ImportedOutcome::SlotTwice);
        }
    }
    if tx.prepare("SELECT 1 FROM terminals WHERE sn = ?1")?.exists([sn.as_str()]).db()? {
        return Ok(ImportedOutcome::AlreadyKnown);
    }
    if pad_taken(tx, sn, pad)?.is_some() {
        return Ok(ImportedOutcome::PairTaken);
    }
    let identity = match &terminal.terminal_id {
        Some(terminal_id) => {
            let merchant_id = terminal.merchant_id.clone().unwrap_or_default();
            zones::check(terminal_id, &merchant_id)?;
            if zones::terminal_id_taken(tx, sn, terminal_id)?.is_some() {
                return Ok(ImportedOutcome::TerminalIdTaken);
            }
            Some(TerminalIdentity { sn: sn.clone(), terminal_id: terminal_id.clone(), merchant_id })
        }
        None => None,
    };
    // Without a TK: flow A serves it when it has been collected.
    let generation: i64 = tx
        .prepare(
            "INSERT INTO terminals (sn, key_serial, acquirer, vendor, model, suite, tk_generation, fingerprint,
                collection, created_at, changed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, 1, '', ?6, ?7, ?7) RETURNING tk_generation",
        )?
        .query_row(
            params![sn.as_str(), pad.as_str(), import.acquirer, terminal.vendor, terminal.model, id, at],
            |row| row.get(0),
        )
        .db()?;
    for (slot, block, kcv) in &terminal.tmks {
        tmks::put_active(tx, (sn, *slot), pad, generation, (block, *kcv), at)?;
    }
    if let Some(dmk) = &terminal.dmk {
        at_most("a DMK's block", dmk.block.len(), limits::KEY_BLOCK)?;
        tx.prepare(
            "INSERT INTO devices (sn, key_serial, dmk, dmk_kcv, import, loaded_at, created_at, changed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6)",
        )?
        .execute(params![sn.as_str(), pad.as_str(), dmk.block, dmk.kcv.as_bytes(), id, at])
        .db()?;
        suites::record(tx, sn, KeyName::Dmk, suite_of(dmk.kcv), at)?;
    }
    if let Some(identity) = &identity {
        zones::put(tx, identity, at)?;
    }
    Ok(ImportedOutcome::Stored)
}

/// What the audit is told about one terminal of an import.
fn told(id: i64, terminal: &ImportedTerminal, outcome: ImportedOutcome) -> Value {
    let outcome = match outcome {
        ImportedOutcome::Stored => "stored",
        ImportedOutcome::AlreadyKnown => "already-known",
        ImportedOutcome::PairTaken => "serial-pair-taken",
        ImportedOutcome::TerminalIdTaken => "terminal-id-taken",
        ImportedOutcome::SlotTwice => "slot-twice",
    };
    let tmks: Vec<Value> = terminal
        .tmks
        .iter()
        .map(|(slot, _, kcv)| json!({ "slot": slot.index(), "kcv": kcv.to_string() }))
        .collect();
    json!({
        "import": id,
        "outcome": outcome,
        "pin_pad": terminal.device.external_pin_pad().map(wire::Serial::as_str),
        "tmks": tmks,
        "dmk": terminal.dmk.as_ref().map(|dmk| dmk.kcv.to_string()),
        "terminal_id": terminal.terminal_id,
        "merchant_id": terminal.merchant_id,
    })
}
