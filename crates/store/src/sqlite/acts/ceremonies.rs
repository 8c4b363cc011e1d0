//! Ceremony nonces, and the device keys that sign what was collected under them.

use rusqlite::{OptionalExtension, params};
use wire::{Device, Serial};

use super::super::error::Db;
use super::super::reads::suites;
use super::super::rows;
use super::super::writer::Tx;
use super::{at_most, integer};
use crate::{CeremonyRecord, Event, NewCeremony, NewDeviceCertificate, StoreError, limits};

pub(in crate::sqlite) fn put(
    tx: &Tx<'_>,
    ceremony: &NewCeremony,
    event: &Event,
) -> Result<CeremonyRecord, StoreError> {
    at_most("a station's name", ceremony.station.len(), limits::NAME * 4)?;
    if let Some(window) = ceremony.window
        && let Some(given) = tx.read(|db| suites::ceremony_of_window(db, window))?
    {
        return Ok(given);
    }
    tx.prepare(
        "INSERT INTO ceremonies
            (nonce, station, operator, operator_serial, collection_window, given_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        ceremony.nonce,
        ceremony.station,
        ceremony.operator.subject,
        ceremony.operator.certificate_serial,
        ceremony.window,
        event.at,
        ceremony.expires_at
    ])
    .db()?;
    tx.append(event)?;
    Ok(CeremonyRecord { ceremony: ceremony.clone(), given_at: event.at })
}

/// The PIN pad, other than this one, that a device key belongs to, or would if what waits were approved.
pub(super) fn key_of_other(
    tx: &Tx<'_>,
    device: &Device,
    certificate: &NewDeviceCertificate,
) -> Result<Option<Serial>, StoreError> {
    tx.prepare(
        "SELECT key_serial FROM device_certificates WHERE spki_sha256 = ?1 AND key_serial <> ?2
         UNION ALL SELECT key_serial FROM replacements
            WHERE device_spki_sha256 = ?1 AND key_serial <> ?2 AND state = 'waiting' LIMIT 1",
    )?
    .query_row([&certificate.spki_sha256, device.pin_pad().as_str()], |row| rows::serial(row, 0))
    .optional()
    .db()
}

/// The generation of the TK that waits for this terminal with this PIN pad.
pub(super) fn waiting_generation(tx: &Tx<'_>, device: &Device) -> Result<Option<u64>, StoreError> {
    tx.prepare(
        "SELECT max(device_generation) FROM replacements WHERE sn = ?1 AND key_serial = ?2 AND state = 'waiting'",
    )?
    .query_row([device.sn().as_str(), device.pin_pad().as_str()], |row| row.get::<_, Option<i64>>(0))
    .db()
    .map(|generation| generation.map(i64::unsigned_abs))
}

/// The highest generation that was signed in this PIN pad.
pub(super) fn generation(tx: &Tx<'_>, key_serial: &Serial) -> Result<Option<u64>, StoreError> {
    tx.prepare("SELECT max(generation) FROM device_certificates WHERE key_serial = ?1")?
        .query_row([key_serial.as_str()], |row| row.get::<_, Option<i64>>(0))
        .db()
        .map(|generation| generation.map(i64::unsigned_abs))
}

/// Keeps a device key with a new generation; both were looked at before.
pub(super) fn keep(
    tx: &Tx<'_>,
    (sn, key_serial): (&Serial, &Serial),
    certificate: &NewDeviceCertificate,
    generation: u64,
    at: i64,
) -> Result<(), StoreError> {
    at_most("a device certificate", certificate.der.len(), limits::DER)?;
    tx.prepare(
        "INSERT INTO device_certificates
            (spki_sha256, sha256, sn, key_serial, der, generation, created_at, changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
         ON CONFLICT (spki_sha256) DO UPDATE SET sha256 = excluded.sha256, sn = excluded.sn, der = excluded.der,
            generation = excluded.generation, changed_at = excluded.changed_at",
    )?
    .execute(params![
        certificate.spki_sha256,
        certificate.sha256,
        sn.as_str(),
        key_serial.as_str(),
        certificate.der,
        integer("a generation is below 2^63", generation)?,
        at
    ])
    .db()
    .map(|_| ())
}
