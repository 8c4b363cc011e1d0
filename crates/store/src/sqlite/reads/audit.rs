//! Reading the audit, and checking it from end to end.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::super::error::Db;
use super::super::{open, rows};
use super::page;
use crate::audit::{Checker, Hash};
use crate::{AuditBreak, AuditFault, AuditRow, AuditVerdict, StoreError};

pub(in crate::sqlite) fn events(
    db: &Connection,
    from_seq: i64,
    limit: u32,
) -> Result<Vec<AuditRow>, StoreError> {
    db.prepare_cached("SELECT * FROM audit WHERE seq >= ?1 ORDER BY seq LIMIT ?2")
        .and_then(|mut s| s.query_map(params![from_seq, page(limit)], rows::event)?.collect())
        .db()
}

/// Checks the audit of a store's file from end to end, with a connection of its own that only reads: beside a
/// running server, or on a copy with no server at all.
///
/// # Errors
///
/// [`StoreError::CannotOpen`], [`StoreError::NotAStore`], or what the disk says. A broken chain is no error: it is
/// the verdict.
pub fn verify_audit_file(path: &Path) -> Result<AuditVerdict, StoreError> {
    verify(&open::reader(path)?)
}

/// One statement walks the table in order, row by row, inside one snapshot with the recorded end: acts that are
/// committed meanwhile do not show, and memory holds one event.
fn verify(db: &Connection) -> Result<AuditVerdict, StoreError> {
    let snapshot = db.unchecked_transaction().db()?;
    let mut checker = Checker::new();
    let broken = match walk(&snapshot, &mut checker)? {
        Some(broken) => Some(broken),
        None => checker.end(recorded_end(&snapshot)?),
    };
    Ok(checker.verdict(broken))
}

fn walk(db: &Connection, checker: &mut Checker) -> Result<Option<AuditBreak>, StoreError> {
    let mut statement = db.prepare("SELECT * FROM audit ORDER BY seq").db()?;
    let mut found = statement.query([]).db()?;
    while let Some(row) = found.next().db()? {
        let checked = match rows::event(row) {
            Ok(event) => checker.event(&event),
            Err(why) => {
                Err(AuditBreak { seq: checker.expected(), why: AuditFault::Unreadable(why.to_string()) })
            }
        };
        if let Err(broken) = checked {
            return Ok(Some(broken));
        }
    }
    Ok(None)
}

/// `None` if the record is gone or unreadable.
fn recorded_end(db: &Connection) -> Result<Option<(i64, Hash)>, StoreError> {
    let read = db
        .query_row("SELECT seq, hash FROM audit_end", [], |row| {
            Ok(row.get(0).and_then(|seq| Ok((seq, row.get(1)?))).ok())
        })
        .optional()
        .db()?;
    Ok(read.flatten())
}
