//! What terminals are offered, and what they tell of it.

use rusqlite::{OptionalExtension, params};
use serde_json::json;
use wire::Serial;

use super::super::error::Db;
use super::super::rows;
use super::super::writer::Tx;
use super::{at_most, no_more, to_json, with_facts};
use crate::{Counts, Event, OfferState, StoreError, TmsReport, limits};

pub(in crate::sqlite) fn record_make(
    tx: &Tx<'_>,
    sn: &Serial,
    vendor: &str,
    model: &str,
    event: &Event,
) -> Result<bool, StoreError> {
    at_most("a vendor's id", vendor.len(), limits::NAME)?;
    at_most("a model's id", model.len(), limits::NAME)?;
    let recorded = tx
        .prepare(
            "UPDATE terminals SET vendor = ?2, model = ?3
             WHERE sn = ?1 AND vendor IS NULL AND model IS NULL",
        )?
        .execute(params![sn.as_str(), vendor, model])
        .db()?;
    if recorded > 0 {
        tx.append(&with_facts(event, json!({ "vendor": vendor, "model": model })))?;
    }
    Ok(recorded > 0)
}

pub(in crate::sqlite) fn note_inventory(
    tx: &Tx<'_>,
    sn: &Serial,
    installed: &[(String, String, u8)],
    status: Option<&str>,
    at: i64,
) -> Result<(), StoreError> {
    at_most("a terminal's status", status.map_or(0, str::len), limits::STATUS)?;
    let installed = to_json("a terminal's inventory", installed, limits::INVENTORY)?;
    let noted = tx
        .prepare(
            "INSERT INTO tms_terminals (sn, installed, status, seen_at)
             SELECT sn, ?2, ?3, ?4 FROM terminals WHERE sn = ?1 ON CONFLICT (sn) DO UPDATE
             SET installed = ?2, status = coalesce(?3, status), seen_at = ?4",
        )?
        .execute(params![sn.as_str(), installed, status, at])
        .db()?;
    if noted == 0 { Err(StoreError::NoSuchTerminal(sn.clone())) } else { Ok(()) }
}

pub(in crate::sqlite) fn offer(
    tx: &Tx<'_>,
    sn: &Serial,
    offers: &[(i64, i64)],
    event: &Event,
) -> Result<(), StoreError> {
    no_more("offers to a terminal", offers.len(), limits::OFFERS)?;
    let known = tx.prepare("SELECT 1 FROM terminals WHERE sn = ?1")?.exists([sn.as_str()]).db()?;
    if !known {
        return Err(StoreError::NoSuchTerminal(sn.clone()));
    }
    let mut new = Vec::new();
    for (deployment, package) in offers {
        let made = tx
            .prepare(
                "INSERT INTO offers (sn, deployment, package, state, changed_at)
                 SELECT ?1, id, package, 'offered', ?4 FROM deployments WHERE id = ?2 AND package = ?3
                 ON CONFLICT (sn, deployment) DO NOTHING",
            )?
            .execute(params![sn.as_str(), deployment, package, event.at])
            .db()?;
        if made > 0 {
            tx.prepare("UPDATE deployments SET offered = offered + 1 WHERE id = ?1")?
                .execute([deployment])
                .db()?;
            new.push(json!({ "deployment": deployment, "package": package }));
        }
    }
    if !new.is_empty() {
        tx.append(&with_facts(event, json!({ "offered": new })))?;
    }
    Ok(())
}

pub(in crate::sqlite) fn take_report(
    tx: &Tx<'_>,
    report: &TmsReport,
    event: &Event,
) -> Result<Vec<(i64, Counts)>, StoreError> {
    no_more("results of a terminal", report.results.len(), limits::OFFERS)?;
    note_inventory(tx, &report.sn, &report.installed, report.status.as_deref(), report.at)?;
    let (mut told, mut counts) = (Vec::new(), Vec::new());
    for (deployment, state) in &report.results {
        let Some(before) = offered(tx, &report.sn, *deployment)? else { continue };
        // What was reported is not unsaid by being offered again.
        if *state != OfferState::Offered && before != state_text(*state) {
            turn(tx, &report.sn, *deployment, &before, *state, report.at)?;
            told.push(json!({ "deployment": deployment, "from": before, "to": state_text(*state) }));
        }
        counts.push((*deployment, counts_of(tx, *deployment)?));
    }
    tx.append(&with_facts(event, json!({ "good": report.good, "results": told })))?;
    Ok(counts)
}

fn offered(tx: &Tx<'_>, sn: &Serial, deployment: i64) -> Result<Option<String>, StoreError> {
    tx.prepare("SELECT state FROM offers WHERE sn = ?1 AND deployment = ?2")?
        .query_row(params![sn.as_str(), deployment], |row| row.get(0))
        .optional()
        .db()
}

/// Takes a terminal out of the count that it was in, and into another.
fn turn(
    tx: &Tx<'_>,
    sn: &Serial,
    deployment: i64,
    before: &str,
    to: OfferState,
    at: i64,
) -> Result<(), StoreError> {
    tx.prepare("UPDATE offers SET state = ?3, changed_at = ?4 WHERE sn = ?1 AND deployment = ?2")?
        .execute(params![sn.as_str(), deployment, state_text(to), at])
        .db()?;
    tx.prepare(
        "UPDATE deployments SET installed = installed + (?3 = 'installed') - (?2 = 'installed'),
            failed = failed + (?3 = 'failed') - (?2 = 'failed') WHERE id = ?1",
    )?
    .execute(params![deployment, before, state_text(to)])
    .db()?;
    Ok(())
}

fn counts_of(tx: &Tx<'_>, deployment: i64) -> Result<Counts, StoreError> {
    tx.prepare("SELECT offered, installed, failed FROM deployments WHERE id = ?1")?
        .query_row([deployment], |row| {
            Ok(Counts {
                offered: rows::count(row, 0)?,
                installed: rows::count(row, 1)?,
                failed: rows::count(row, 2)?,
            })
        })
        .db()
}

fn state_text(state: OfferState) -> &'static str {
    match state {
        OfferState::Offered => "offered",
        OfferState::Installed => "installed",
        OfferState::Failed => "failed",
    }
}
