//! DIK1s and work keys of the RKS.

use rusqlite::params;

use super::super::error::Db;
use super::super::writer::Tx;
use super::at_most;
use crate::{Dik1Scope, Event, NewDik1, NewRksWorkKey, StoreError, limits};

pub(in crate::sqlite) fn put_dik1(tx: &Tx<'_>, dik1: &NewDik1, event: &Event) -> Result<(), StoreError> {
    at_most("a DIK1's block", dik1.block.len(), limits::KEY_BLOCK)?;
    at_most("a DIK1's label", dik1.label.len(), limits::NAME)?;
    let known = tx.prepare("SELECT 1 FROM acquirers WHERE id = ?1")?.exists([&dik1.acquirer]).db()?;
    if !known {
        return Err(StoreError::NoSuchAcquirer(dik1.acquirer.clone()));
    }
    let (model, batch) = match &dik1.scope {
        Dik1Scope::Acquirer => (None, None),
        Dik1Scope::Batch { model, batch } => (Some(model), Some(batch)),
    };
    let entered = tx
        .prepare(
            "INSERT INTO dik1s (label, acquirer, model, batch, block, kcv, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (label) DO NOTHING",
        )?
        .execute(params![dik1.label, dik1.acquirer, model, batch, dik1.block, dik1.kcv.as_bytes(), event.at])
        .db()?;
    if entered == 0 {
        return Err(StoreError::AlreadyThere { what: "DIK1", id: dik1.label.clone() });
    }
    tx.append(event).map(|_| ())
}

pub(in crate::sqlite) fn put_work_key(
    tx: &Tx<'_>,
    key: &NewRksWorkKey,
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
    tx.prepare(
        "UPDATE work_keys SET state = 'opening-only'
         WHERE state = 'active' AND role = 'rks-work' AND suite = ?1",
    )?
    .execute([key.suite.byte()])
    .db()?;
    let entered = tx
        .prepare(
            "INSERT INTO work_keys
                (certificate_sha256, private_block, spki, state, created_at, role, intermediates, suite)
             VALUES (?1, ?2, ?3, 'active', ?4, 'rks-work', ?5, ?6) ON CONFLICT (certificate_sha256) DO NOTHING",
        )?
        .execute(params![
            key.certificate_sha256,
            key.private_block,
            key.spki,
            event.at,
            key.intermediates,
            key.suite.byte()
        ])
        .db()?;
    if entered == 0 {
        return Err(StoreError::AlreadyThere { what: "work key", id: key.certificate_sha256.clone() });
    }
    tx.append(event).map(|_| ())
}
