//! Suites, ceremonies, device certificates.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use wire::{Malformed, Serial, Slot, Suite};

use super::super::error::Db;
use super::super::rows;
use super::estate::at_one_moment;
use super::page;
use crate::{
    CeremonyRecord, DeviceCertificateRecord, KeyName, KeySuite, NewCeremony, NewDeviceCertificate, Person,
    StoreError, SuiteAllowance, SuiteRecords,
};

pub(in crate::sqlite) fn records(db: &Connection, sn: &Serial) -> Result<SuiteRecords, StoreError> {
    at_one_moment(db, || of_terminal(db, sn.clone()))
}

pub(in crate::sqlite) fn estate(
    db: &Connection,
    below: Suite,
    after: Option<&Serial>,
    limit: u32,
) -> Result<Vec<SuiteRecords>, StoreError> {
    let read = || {
        let after = after.map_or("", Serial::as_str);
        let serials: Vec<Serial> = db
            .prepare_cached(
                "SELECT DISTINCT sn FROM key_suites WHERE in_use < ?1 AND sn > ?2 ORDER BY sn LIMIT ?3",
            )?
            .query_map(params![below.byte(), after, page(limit)], |row| rows::serial(row, 0))?
            .collect::<Result<_, _>>()?;
        serials.into_iter().map(|sn| of_terminal(db, sn)).collect()
    };
    at_one_moment(db, read)
}

fn of_terminal(db: &Connection, sn: Serial) -> rusqlite::Result<SuiteRecords> {
    let keys = db
        .prepare_cached("SELECT key, suite, in_use, since FROM key_suites WHERE sn = ?1 ORDER BY key")?
        .query_map([sn.as_str()], key_suite)?
        .collect::<Result<_, _>>()?;
    let allowance = db
        .prepare_cached(
            "SELECT id, suite, reason, asked_by, asked_by_serial, approved_by, approved_by_serial, allowed_at, until
             FROM suite_allowances WHERE sn = ?1 AND ended_at IS NULL",
        )?
        .query_row([sn.as_str()], allowance)
        .optional()?;
    Ok(SuiteRecords { sn, keys, allowance })
}

fn key_suite(row: &Row<'_>) -> rusqlite::Result<KeySuite> {
    let key = match row.get_ref(0)?.as_str()? {
        "tk" => KeyName::Tk,
        "dik2" => KeyName::Dik2,
        "dmk" => KeyName::Dmk,
        slot => KeyName::Slot(
            slot_of(slot)
                .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(e)))?,
        ),
    };
    Ok(KeySuite { key, proved: rows::suite(row, 1)?, in_use: rows::suite(row, 2)?, since: row.get(3)? })
}

fn slot_of(text: &str) -> Result<Slot, Malformed> {
    // What is no number becomes one that no slot has.
    Slot::new(text.strip_prefix("slot/").and_then(|index| index.parse().ok()).unwrap_or(u8::MAX))
}

fn allowance(row: &Row<'_>) -> rusqlite::Result<SuiteAllowance> {
    Ok(SuiteAllowance {
        id: row.get(0)?,
        suite: rows::suite(row, 1)?,
        reason: row.get(2)?,
        asked_by: Person { subject: row.get(3)?, certificate_serial: row.get(4)? },
        approved_by: Person { subject: row.get(5)?, certificate_serial: row.get(6)? },
        allowed_at: row.get(7)?,
        until: row.get(8)?,
    })
}

const CEREMONY: &str =
    "SELECT nonce, station, operator, operator_serial, collection_window, given_at, expires_at
 FROM ceremonies";

pub(in crate::sqlite) fn ceremony(
    db: &Connection,
    nonce: &[u8; 32],
) -> Result<Option<CeremonyRecord>, StoreError> {
    db.prepare_cached(&format!("{CEREMONY} WHERE nonce = ?1"))
        .and_then(|mut s| s.query_row([nonce], ceremony_row).optional())
        .db()
}

pub(in crate::sqlite) fn ceremony_of_window(
    db: &Connection,
    window: i64,
) -> Result<Option<CeremonyRecord>, StoreError> {
    db.prepare_cached(&format!("{CEREMONY} WHERE collection_window = ?1"))
        .and_then(|mut s| s.query_row([window], ceremony_row).optional())
        .db()
}

fn ceremony_row(row: &Row<'_>) -> rusqlite::Result<CeremonyRecord> {
    let ceremony = NewCeremony {
        nonce: row.get(0)?,
        station: row.get(1)?,
        operator: Person { subject: row.get(2)?, certificate_serial: row.get(3)? },
        window: row.get(4)?,
        expires_at: row.get(6)?,
    };
    Ok(CeremonyRecord { ceremony, given_at: row.get(5)? })
}

pub(in crate::sqlite) fn device_certificate(
    db: &Connection,
    sn: &Serial,
) -> Result<Option<DeviceCertificateRecord>, StoreError> {
    db.prepare_cached(
        "SELECT d.sn, d.key_serial, d.sha256, d.spki_sha256, d.der, d.generation, d.created_at
         FROM terminals t JOIN device_certificates d ON d.key_serial = t.key_serial
         WHERE t.sn = ?1 ORDER BY d.generation DESC LIMIT 1",
    )
    .and_then(|mut s| {
        s.query_row([sn.as_str()], |row| {
            Ok(DeviceCertificateRecord {
                sn: rows::serial(row, 0)?,
                key_serial: rows::serial(row, 1)?,
                certificate: NewDeviceCertificate {
                    sha256: row.get(2)?,
                    spki_sha256: row.get(3)?,
                    der: row.get(4)?,
                },
                generation: rows::count(row, 5)?,
                created_at: row.get(6)?,
            })
        })
        .optional()
    })
    .db()
}
