//! Certificates, work keys, revocation lists.

use rusqlite::{Connection, OptionalExtension};
use wire::Suite;

use super::super::error::Db;
use super::super::rows;
use crate::{CertificateRecord, RevocationListRecord, StoreError, WorkKeyRecord};

pub(in crate::sqlite) fn certificate(
    db: &Connection,
    sha256: &str,
) -> Result<Option<CertificateRecord>, StoreError> {
    db.prepare_cached("SELECT * FROM certificates WHERE sha256 = ?1")
        .and_then(|mut s| s.query_row([sha256], rows::certificate).optional())
        .db()
}

pub(in crate::sqlite) fn work_key(
    db: &Connection,
    certificate_sha256: &str,
) -> Result<Option<WorkKeyRecord>, StoreError> {
    db.prepare_cached("SELECT * FROM work_keys WHERE certificate_sha256 = ?1 AND role = 'kms-work'")
        .and_then(|mut s| s.query_row([certificate_sha256], rows::work_key).optional())
        .db()
}

pub(in crate::sqlite) fn active_work_key(
    db: &Connection,
    suite: Suite,
) -> Result<Option<WorkKeyRecord>, StoreError> {
    db.prepare_cached("SELECT * FROM work_keys WHERE state = 'active' AND role = 'kms-work' AND suite = ?1")
        .and_then(|mut s| s.query_row([suite.byte()], rows::work_key).optional())
        .db()
}

pub(in crate::sqlite) fn revocation_lists(db: &Connection) -> Result<Vec<RevocationListRecord>, StoreError> {
    db.prepare_cached("SELECT issuer, number, der, created_at FROM revocation_lists ORDER BY issuer")
        .and_then(|mut s| {
            s.query_map([], |row| {
                Ok(RevocationListRecord {
                    issuer: row.get(0)?,
                    number: u64::from_be_bytes(row.get(1)?),
                    der: row.get(2)?,
                    created_at: row.get(3)?,
                })
            })?
            .collect()
        })
        .db()
}
