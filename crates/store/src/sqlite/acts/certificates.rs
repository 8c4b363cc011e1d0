//! Certificates, work keys, revocation lists.

use rusqlite::{OptionalExtension, params};

use super::super::error::Db;
use super::super::rows;
use super::super::writer::Tx;
use super::at_most;
use crate::{
    Event, NewCertificate, NewRevocationList, NewWorkKey, RevocationOutcome, StoreError, WorkKeyState, limits,
};

pub(in crate::sqlite) fn put(
    tx: &Tx<'_>,
    certificate: &NewCertificate,
    event: &Event,
) -> Result<(), StoreError> {
    at_most("a certificate", certificate.der.len(), limits::DER)?;
    tx.prepare(
        "INSERT INTO certificates (sha256, role, der, created_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (sha256) DO NOTHING",
    )?
    .execute(params![certificate.sha256, certificate.role, certificate.der, event.at])
    .db()?;
    tx.append(event).map(|_| ())
}

pub(in crate::sqlite) fn put_work_key(
    tx: &Tx<'_>,
    key: &NewWorkKey,
    event: &Event,
) -> Result<(), StoreError> {
    at_most("a work key's block", key.private_block.len(), limits::KEY_BLOCK)?;
    at_most("a public key", key.spki.len(), limits::DER)?;
    at_most("intermediate certificates", key.intermediates.len(), limits::DER)?;
    let known =
        tx.prepare("SELECT 1 FROM certificates WHERE sha256 = ?1")?.exists([&key.certificate_sha256]).db()?;
    if !known {
        return Err(StoreError::NoSuchCertificate(key.certificate_sha256.clone()));
    }
    if key.state == WorkKeyState::Active {
        tx.prepare(
            "UPDATE work_keys SET state = 'opening-only'
             WHERE state = 'active' AND role = 'kms-work' AND suite = ?1",
        )?
        .execute([key.suite.byte()])
        .db()?;
    }
    let entered = tx
        .prepare(
            "INSERT INTO work_keys (certificate_sha256, private_block, spki, state, created_at, suite, intermediates)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (certificate_sha256) DO NOTHING",
        )?
        .execute(params![
            key.certificate_sha256,
            key.private_block,
            key.spki,
            rows::work_key_state_text(key.state),
            event.at,
            key.suite.byte(),
            key.intermediates
        ])
        .db()?;
    if entered == 0 {
        return Err(StoreError::AlreadyThere { what: "work key", id: key.certificate_sha256.clone() });
    }
    tx.append(event).map(|_| ())
}

pub(in crate::sqlite) fn put_revocation_list(
    tx: &Tx<'_>,
    list: &NewRevocationList,
    event: &Event,
) -> Result<RevocationOutcome, StoreError> {
    at_most("a revocation list", list.der.len(), limits::DER)?;
    let have: Option<[u8; 8]> = tx
        .prepare("SELECT number FROM revocation_lists WHERE issuer = ?1")?
        .query_row([&list.issuer], |row| row.get(0))
        .optional()
        .db()?;
    if let Some(have) = have.map(u64::from_be_bytes)
        && have >= list.number
    {
        return Ok(RevocationOutcome::NotNewer { have });
    }
    tx.prepare(
        "INSERT INTO revocation_lists (issuer, number, der, created_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (issuer) DO UPDATE
         SET number = excluded.number, der = excluded.der, created_at = excluded.created_at",
    )?
    .execute(params![list.issuer, list.number.to_be_bytes(), list.der, event.at])
    .db()?;
    tx.append(event)?;
    Ok(RevocationOutcome::Stored)
}
