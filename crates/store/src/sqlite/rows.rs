//! Between columns and records.

use rusqlite::Row;
use rusqlite::types::Type;
use serde::de::DeserializeOwned;
use wire::{Kcv, Malformed, Serial, Slot, Suite};

use crate::{
    AuditRow, CertificateRecord, HeldKey, HeldWorkingKey, TerminalRecord, TkRecord, WorkKeyRecord,
    WorkKeyState, WorkingKind,
};

/// The columns that [`terminal`] reads, in its order.
macro_rules! terminal_columns {
    () => {
        "sn, key_serial, acquirer, vendor, model, suite, ctk_pu, work_certificate_sha256, tek, auk, \
         tk_generation, fingerprint, created_at, changed_at"
    };
}

/// The columns that [`held_key`] reads, in its order.
macro_rules! key_columns {
    () => {
        "id, key_serial, block, kcv, tk_generation, created_at, changed_at, sent_count"
    };
}

/// The columns that [`working_key`] reads, in its order.
macro_rules! working_columns {
    () => {
        "id, block, kcv, created_at"
    };
}

pub(super) use {key_columns, terminal_columns, working_columns};

pub(super) fn serial(row: &Row<'_>, column: usize) -> rusqlite::Result<Serial> {
    Serial::parse(row.get_ref(column)?.as_str()?).map_err(|e| unreadable(column, Type::Text, e))
}

pub(super) fn slot(row: &Row<'_>, column: usize) -> rusqlite::Result<Slot> {
    Slot::new(row.get(column)?).map_err(|e| unreadable(column, Type::Integer, e))
}

pub(super) fn kcv(row: &Row<'_>, column: usize) -> rusqlite::Result<Kcv> {
    Kcv::from_bytes(row.get_ref(column)?.as_blob()?).map_err(|e| unreadable(column, Type::Blob, e))
}

/// A suite; one byte, as the layout checks.
pub(super) fn suite(row: &Row<'_>, column: usize) -> rusqlite::Result<Suite> {
    row.get(column).map(Suite::new)
}

pub(super) fn terminal(row: &Row<'_>) -> rusqlite::Result<TerminalRecord> {
    let sn = serial(row, 0)?;
    let tk = match (row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?) {
        (Some(ctk_pu), Some(work_certificate_sha256), ..) => {
            TkRecord::Ciphertext { ctk_pu, work_certificate_sha256 }
        }
        (_, _, Some(tek), Some(auk)) => TkRecord::Blocks { tek, auk },
        _ => TkRecord::None,
    };
    Ok(TerminalRecord {
        pin_pad: external(&sn, serial(row, 1)?),
        sn,
        acquirer: row.get(2)?,
        vendor: row.get(3)?,
        model: row.get(4)?,
        suite: suite(row, 5)?,
        tk,
        tk_generation: row.get(10)?,
        fingerprint: row.get(11)?,
        created_at: row.get(12)?,
        changed_at: row.get(13)?,
    })
}

/// A PIN pad with a serial of its own; a built-in one's is SN.
pub(super) fn external(sn: &Serial, key_serial: Serial) -> Option<Serial> {
    (key_serial != *sn).then_some(key_serial)
}

pub(super) fn held_key(row: &Row<'_>) -> rusqlite::Result<HeldKey> {
    Ok(HeldKey {
        id: row.get(0)?,
        key_serial: serial(row, 1)?,
        block: row.get(2)?,
        kcv: kcv(row, 3)?,
        tk_generation: row.get(4)?,
        created_at: row.get(5)?,
        changed_at: row.get(6)?,
        sent_count: row.get(7)?,
    })
}

pub(super) fn working_key(row: &Row<'_>) -> rusqlite::Result<HeldWorkingKey> {
    Ok(HeldWorkingKey { id: row.get(0)?, block: row.get(1)?, kcv: kcv(row, 2)?, created_at: row.get(3)? })
}

pub(super) fn kind_text(kind: WorkingKind) -> &'static str {
    match kind {
        WorkingKind::Pik => "pik",
        WorkingKind::Mak => "mak",
        WorkingKind::Tdk => "tdk",
    }
}

pub(super) fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<WorkingKind> {
    Ok(match row.get_ref(column)?.as_str()? {
        "pik" => WorkingKind::Pik,
        "mak" => WorkingKind::Mak,
        _ => WorkingKind::Tdk,
    })
}

/// A number that the layout keeps from being negative.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::unsigned_abs)
}

/// What is kept as JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    from_json(row.get_ref(column)?.as_str()?, column)
}

/// The same, or nothing.
pub(super) fn json_or_null<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    row.get_ref(column)?.as_str_or_null()?.map(|text| from_json(text, column)).transpose()
}

fn from_json<T: DeserializeOwned>(text: &str, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
}

pub(super) fn certificate(row: &Row<'_>) -> rusqlite::Result<CertificateRecord> {
    Ok(CertificateRecord {
        role: row.get("role")?,
        sha256: row.get("sha256")?,
        der: row.get("der")?,
        created_at: row.get("created_at")?,
    })
}

pub(super) fn work_key(row: &Row<'_>) -> rusqlite::Result<WorkKeyRecord> {
    let active = row.get_ref("state")?.as_str()? == work_key_state_text(WorkKeyState::Active);
    Ok(WorkKeyRecord {
        certificate_sha256: row.get("certificate_sha256")?,
        private_block: row.get("private_block")?,
        spki: row.get("spki")?,
        intermediates: row.get("intermediates")?,
        state: if active { WorkKeyState::Active } else { WorkKeyState::OpeningOnly },
        suite: row.get("suite").map(Suite::new)?,
        created_at: row.get("created_at")?,
    })
}

pub(super) fn work_key_state_text(state: WorkKeyState) -> &'static str {
    match state {
        WorkKeyState::Active => "active",
        WorkKeyState::OpeningOnly => "opening-only",
    }
}

pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        seq: row.get("seq")?,
        at: row.get("at")?,
        kind: row.get("kind")?,
        actor: row.get("actor")?,
        subject: row.get("subject")?,
        detail: row.get("detail")?,
        prev_hash: row.get("prev_hash")?,
        hash: row.get("hash")?,
    })
}

fn unreadable(column: usize, held: Type, why: Malformed) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, held, Box::new(why))
}
