//! Taking a KLD's report: what is in terminals now. One bad terminal does not spoil the others.

use rusqlite::{OptionalExtension, params};
use serde_json::{Value, json};
use wire::{Kcv, Serial, Slot, Suite};

use super::super::error::Db;
use super::super::rows;
use super::super::writer::Tx;
use super::collections::pad_taken;
use super::{at_most, load_counters, suites, tmks, with_facts};
use crate::audit::hex;
use crate::{
    Event, KeyName, KldReport, PerReported, ReportOutcome, ReportedKey, ReportedTerminal, StoreError, limits,
    suite_of,
};

pub(in crate::sqlite) fn import(
    tx: &Tx<'_>,
    report: &KldReport,
    event: &Event,
) -> Result<ReportOutcome, StoreError> {
    at_most("a KLD's report", report.package.len(), limits::PACKAGE)?;
    at_most("a KLD's name", report.kld.len(), limits::NAME)?;
    at_most("a run's name", report.run.len(), limits::NAME)?;
    let known = tx.prepare("SELECT 1 FROM acquirers WHERE id = ?1")?.exists([&report.acquirer]).db()?;
    if !known {
        return Err(StoreError::NoSuchAcquirer(report.acquirer.clone()));
    }
    let again = tx
        .prepare("SELECT 1 FROM kld_reports WHERE content_digest = ?1")?
        .exists([report.content_digest])
        .db()?;
    if again {
        return Ok(ReportOutcome::Duplicate);
    }
    let Some(id) = enter(tx, report, event.at)? else { return Ok(ReportOutcome::Duplicate) };
    let facts = json!({ "report": id, "digest": hex(&report.digest), "terminals": report.terminals.len() });
    tx.append(&with_facts(event, facts))?;
    let mut outcomes = Vec::with_capacity(report.terminals.len());
    for terminal in &report.terminals {
        let outcome = Taking { tx, report, id, at: event.at }.take(terminal)?;
        tx.append(&Event {
            at: event.at,
            kind: "kld.terminal".into(),
            actor: event.actor.clone(),
            subject: terminal.device.sn().to_string(),
            detail: told(report, id, terminal, &outcome),
        })?;
        outcomes.push(outcome);
    }
    for sn in &report.compromised {
        let flagged = tx
            .prepare("UPDATE devices SET compromised = 1, changed_at = ?2 WHERE sn = ?1")?
            .execute(params![sn.as_str(), event.at])
            .db()?;
        tx.append(&Event {
            at: event.at,
            kind: "alarm.compromised-at-kld".into(),
            actor: event.actor.clone(),
            subject: sn.to_string(),
            detail: json!({ "report": id, "kld": report.kld, "run": report.run, "was_known": flagged == 1 }),
        })?;
    }
    Ok(ReportOutcome::Stored(outcomes))
}

/// The package itself; `None` if these bytes were taken before.
fn enter(tx: &Tx<'_>, report: &KldReport, at: i64) -> Result<Option<i64>, StoreError> {
    let id: Option<i64> = tx
        .prepare(
            "INSERT INTO collections
                (digest, package, signer, signer_serial, acquirer, station, collected_at, uploaded_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (digest) DO NOTHING RETURNING id",
        )?
        .query_row(
            params![
                report.digest,
                report.package,
                report.signer.subject,
                report.signer.certificate_serial,
                report.acquirer,
                report.kld,
                report.closed_at,
                at
            ],
            |row| row.get(0),
        )
        .optional()
        .db()?;
    let Some(id) = id else { return Ok(None) };
    tx.prepare(
        "INSERT INTO kld_reports (id, content_digest, kld, run, opened_at, closed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![id, report.content_digest, report.kld, report.run, report.opened_at, report.closed_at])
    .db()?;
    Ok(Some(id))
}

#[derive(Clone, Copy)]
struct Taking<'a> {
    tx: &'a Tx<'a>,
    report: &'a KldReport,
    id: i64,
    at: i64,
}

struct Known {
    key_serial: Serial,
    acquirer: String,
    tk_generation: i64,
}

impl Taking<'_> {
    fn take(self, terminal: &ReportedTerminal) -> Result<PerReported, StoreError> {
        let (sn, pad) = (terminal.device.sn(), terminal.device.pin_pad());
        if let Some(refusal) = &terminal.refused {
            return Ok(PerReported::Refused(refusal.clone()));
        }
        if self.report.compromised.contains(sn) {
            return Ok(PerReported::Compromised);
        }
        if terminal.failed.is_some() || terminal.keys.is_empty() {
            return Ok(PerReported::NothingLoaded);
        }
        if let Some(by) = pad_taken(self.tx, sn, pad)? {
            return Ok(PerReported::SerialPairTaken { by });
        }
        let known = self.known(sn)?;
        if let Some(known) = &known {
            if known.acquirer != self.report.acquirer {
                return Ok(PerReported::OtherAcquirer);
            }
            if known.key_serial != *pad {
                return Ok(PerReported::OtherPinPad { recorded: known.key_serial.clone() });
            }
            if self.is_overtaken(sn, &terminal.keys)? {
                return Ok(PerReported::Overtaken);
            }
        }
        for key in &terminal.keys {
            if let ReportedKey::Dik2 { dik1, .. } = key
                && !self.has_dik1(dik1)?
            {
                return Ok(PerReported::UnknownDik1 { label: dik1.clone() });
            }
        }
        for key in &terminal.keys {
            let (name, suite) = named(key);
            if !suites::permitted(self.tx, sn, name, suite, self.at)? {
                return Ok(PerReported::Refused(suites::lower_suite(name, suite)));
            }
        }
        let generation = match known {
            Some(known) => known.tk_generation,
            None => self.insert(sn, pad)?,
        };
        let mut new = 0;
        for key in &terminal.keys {
            new += usize::from(self.put(sn, pad, generation, key)?);
            let (name, suite) = named(key);
            suites::record(self.tx, sn, name, suite, self.at)?;
        }
        Ok(PerReported::Taken { new })
    }

    fn known(self, sn: &Serial) -> Result<Option<Known>, StoreError> {
        self.tx
            .prepare("SELECT key_serial, acquirer, tk_generation FROM terminals WHERE sn = ?1")?
            .query_row([sn.as_str()], |row| {
                Ok(Known {
                    key_serial: rows::serial(row, 0)?,
                    acquirer: row.get(1)?,
                    tk_generation: row.get(2)?,
                })
            })
            .optional()
            .db()
    }

    fn has_dik1(self, label: &str) -> Result<bool, StoreError> {
        self.tx
            .prepare("SELECT 1 FROM dik1s WHERE label = ?1 AND acquirer = ?2")?
            .exists([label, &self.report.acquirer])
            .db()
    }

    /// A report of an earlier run takes nothing back, and neither does a TMK that was replaced since.
    fn is_overtaken(self, sn: &Serial, keys: &[ReportedKey]) -> Result<bool, StoreError> {
        let later = self
            .tx
            .prepare("SELECT 1 FROM devices WHERE sn = ?1 AND loaded_at > ?2")?
            .exists(params![sn.as_str(), self.report.closed_at])
            .db()?;
        if later {
            return Ok(true);
        }
        for key in keys {
            let ReportedKey::Tmk { slot, kcv, .. } = key else { continue };
            let retired = self
                .tx
                .prepare("SELECT 1 FROM tmks WHERE sn = ?1 AND slot = ?2 AND state = 'retired' AND kcv = ?3")?
                .exists(params![sn.as_str(), slot.index(), kcv.as_bytes()])
                .db()?;
            if retired {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A terminal that the estate did not know: it has no TK yet, so flow A does not serve it.
    fn insert(self, sn: &Serial, pad: &Serial) -> Result<i64, StoreError> {
        self.tx
            .prepare(
                "INSERT INTO terminals
                    (sn, key_serial, acquirer, suite, tk_generation, fingerprint, collection, created_at, changed_at)
                 VALUES (?1, ?2, ?3, 1, 1, '', ?4, ?5, ?5) RETURNING tk_generation",
            )?
            .query_row(
                params![sn.as_str(), pad.as_str(), self.report.acquirer, self.id, self.at],
                |row| row.get(0),
            )
            .db()
    }

    /// Whether the key was new.
    fn put(self, sn: &Serial, pad: &Serial, generation: i64, key: &ReportedKey) -> Result<bool, StoreError> {
        match key {
            ReportedKey::Tmk { slot, block, kcv, load_counter } => {
                load_counters::check(*kcv, *load_counter)?;
                load_counters::take(self.tx, (pad, *slot), *load_counter)?;
                self.put_tmk((sn, pad), *slot, generation, block, *kcv)
            }
            ReportedKey::Dmk { block, kcv } => {
                at_most("a DMK's block", block.len(), limits::KEY_BLOCK)?;
                self.enter_device(sn, pad)?;
                let changed = self
                    .tx
                    .prepare("UPDATE devices SET dmk = ?2, dmk_kcv = ?3 WHERE sn = ?1 AND dmk_kcv IS NOT ?3")?
                    .execute(params![sn.as_str(), block, kcv.as_bytes()])
                    .db()?;
                self.changed(sn, changed)
            }
            ReportedKey::Dik2 { dik1, factor_digest, factor, kcv } => {
                at_most("a factor's block", factor.len(), limits::KEY_BLOCK)?;
                self.enter_device(sn, pad)?;
                let changed = self
                    .tx
                    .prepare(
                        "UPDATE devices SET dik1 = ?2, dik2_kcv = ?3, factor_digest = ?4, factor = ?5
                         WHERE sn = ?1 AND (dik1 IS NOT ?2 OR dik2_kcv IS NOT ?3 OR factor_digest IS NOT ?4)",
                    )?
                    .execute(params![sn.as_str(), dik1, kcv.as_bytes(), factor_digest, factor])
                    .db()?;
                self.changed(sn, changed)
            }
        }
    }

    /// A pending key is dropped when DIK2 or DMK changes (2-wire.md section 4, Confirming).
    fn changed(self, sn: &Serial, rows: usize) -> Result<bool, StoreError> {
        if rows > 0 {
            tmks::drop_all_pending(self.tx, sn, self.at)?;
        }
        Ok(rows > 0)
    }

    fn enter_device(self, sn: &Serial, pad: &Serial) -> Result<(), StoreError> {
        self.tx
            .prepare(
                "INSERT INTO devices (sn, key_serial, report, loaded_at, created_at, changed_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (sn) DO UPDATE
                 SET key_serial = ?2, report = ?3, import = NULL, loaded_at = ?4, changed_at = ?5, compromised = 0",
            )?
            .execute(params![sn.as_str(), pad.as_str(), self.id, self.report.closed_at, self.at])
            .db()
            .map(|_| ())
    }

    fn put_tmk(
        self,
        (sn, pad): (&Serial, &Serial),
        slot: Slot,
        generation: i64,
        block: &str,
        kcv: Kcv,
    ) -> Result<bool, StoreError> {
        at_most("a TMK's block", block.len(), limits::KEY_BLOCK)?;
        let active = self
            .tx
            .prepare("SELECT 1 FROM tmks WHERE sn = ?1 AND slot = ?2 AND state = 'active' AND kcv = ?3")?
            .exists(params![sn.as_str(), slot.index(), kcv.as_bytes()])
            .db()?;
        if active {
            return Ok(false);
        }
        // The terminal has what the KLD loaded: a pending key for that slot never arrived, nor what travels under it.
        tmks::drop_pending_in(self.tx, (sn, slot), self.at)?;
        tmks::put_active(self.tx, (sn, slot), pad, generation, (block, kcv), self.at)?;
        Ok(true)
    }
}

/// Which key it is, and of which suite.
fn named(key: &ReportedKey) -> (KeyName, Suite) {
    match key {
        ReportedKey::Tmk { slot, kcv, .. } => (KeyName::Slot(*slot), suite_of(*kcv)),
        ReportedKey::Dmk { kcv, .. } => (KeyName::Dmk, suite_of(*kcv)),
        ReportedKey::Dik2 { kcv, .. } => (KeyName::Dik2, suite_of(*kcv)),
    }
}

/// What the audit is told about one terminal of the report.
fn told(report: &KldReport, id: i64, terminal: &ReportedTerminal, outcome: &PerReported) -> Value {
    let result = match outcome {
        PerReported::Taken { new } => json!({ "outcome": "taken", "new": new }),
        PerReported::NothingLoaded => json!({ "outcome": "nothing-loaded", "code": terminal.failed }),
        PerReported::Compromised => json!({ "outcome": "compromised" }),
        PerReported::Overtaken => json!({ "outcome": "overtaken" }),
        PerReported::OtherPinPad { recorded } => {
            json!({ "outcome": "other-pin-pad", "recorded": recorded.as_str() })
        }
        PerReported::SerialPairTaken { by } => json!({ "outcome": "serial-pair-taken", "by": by.as_str() }),
        PerReported::OtherAcquirer => json!({ "outcome": "other-acquirer" }),
        PerReported::UnknownDik1 { label } => json!({ "outcome": "unknown-dik1", "label": label }),
        PerReported::Refused(refusal) => {
            json!({ "outcome": "refused", "code": refusal.code, "text": refusal.text })
        }
    };
    let keys: Vec<_> = terminal.keys.iter().map(key_told).collect();
    json!({
        "report": id,
        "kld": report.kld,
        "run": report.run,
        "pin_pad": terminal.device.external_pin_pad().map(Serial::as_str),
        "keys": keys,
        "result": result,
    })
}

fn key_told(key: &ReportedKey) -> Value {
    match key {
        ReportedKey::Tmk { slot, kcv, .. } => {
            json!({ "kind": "tmk", "slot": slot.index(), "kcv": kcv.to_string() })
        }
        ReportedKey::Dmk { kcv, .. } => json!({ "kind": "dmk", "kcv": kcv.to_string() }),
        ReportedKey::Dik2 { dik1, kcv, .. } => {
            json!({ "kind": "dik2", "dik1": dik1, "kcv": kcv.to_string() })
        }
    }
}
