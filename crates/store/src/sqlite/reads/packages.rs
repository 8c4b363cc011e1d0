//! Packages, and files of the database repository.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::error::Db;
use super::super::rows;
use crate::{FileRecord, Package, StoreError, StoredSignature, limits};

const PACKAGE: &str =
    "SELECT id, vendor, name, version, kind, models, size, sha256, certificate, intermediates,
    signature, approval_certificate, approval_intermediates, approval_signature, requires, path, published_at,
    withdrawn_at FROM packages";

pub(in crate::sqlite) fn package(db: &Connection, id: i64) -> Result<Option<Package>, StoreError> {
    db.prepare_cached(&format!("{PACKAGE} WHERE id = ?1"))
        .and_then(|mut s| s.query_row([id], package_row).optional())
        .db()
}

pub(in crate::sqlite) fn find(
    db: &Connection,
    vendor: &str,
    name: &str,
    version: &str,
) -> Result<Option<Package>, StoreError> {
    db.prepare_cached(&format!("{PACKAGE} WHERE vendor = ?1 AND name = ?2 AND version = ?3"))
        .and_then(|mut s| s.query_row([vendor, name, version], package_row).optional())
        .db()
}

pub(in crate::sqlite) fn packages(db: &Connection, vendor: &str) -> Result<Vec<Package>, StoreError> {
    db.prepare_cached(&format!("{PACKAGE} WHERE vendor = ?1 ORDER BY id"))
        .and_then(|mut s| s.query_map([vendor], package_row)?.collect())
        .db()
}

fn package_row(row: &Row<'_>) -> rusqlite::Result<Package> {
    let approval = match (row.get(11)?, row.get(12)?, row.get(13)?) {
        (Some(certificate), Some(intermediates), Some(signature)) => {
            Some(StoredSignature { certificate, intermediates, signature })
        }
        _ => None,
    };
    Ok(Package {
        id: row.get(0)?,
        vendor: row.get(1)?,
        name: row.get(2)?,
        version: row.get(3)?,
        kind: row.get(4)?,
        models: rows::json(row, 5)?,
        size: rows::count(row, 6)?,
        sha256: row.get(7)?,
        signature: StoredSignature {
            certificate: row.get(8)?,
            intermediates: row.get(9)?,
            signature: row.get(10)?,
        },
        approval,
        requires: rows::json(row, 14)?,
        path: row.get(15)?,
        published_at: row.get(16)?,
        withdrawn_at: row.get(17)?,
    })
}

pub(in crate::sqlite) fn file(
    db: &Connection,
    vendor: &str,
    path: &str,
) -> Result<Option<FileRecord>, StoreError> {
    let chunk = u32::try_from(limits::FILE_CHUNK).unwrap_or(u32::MAX);
    db.prepare_cached("SELECT size, sha256 FROM files WHERE vendor = ?1 AND path = ?2")
        .and_then(|mut s| {
            s.query_row([vendor, path], |row| {
                Ok(FileRecord { size: rows::count(row, 0)?, sha256: row.get(1)?, chunk })
            })
            .optional()
        })
        .db()
}

pub(in crate::sqlite) fn file_chunk(
    db: &Connection,
    vendor: &str,
    path: &str,
    index: u32,
) -> Result<Option<Vec<u8>>, StoreError> {
    db.prepare_cached(
        "SELECT c.data FROM file_chunks c JOIN files f ON f.vendor = c.vendor AND f.path = c.path
         WHERE c.vendor = ?1 AND c.path = ?2 AND c.position = ?3",
    )
    .and_then(|mut s| s.query_row(params![vendor, path, index], |row| row.get(0)).optional())
    .db()
}
