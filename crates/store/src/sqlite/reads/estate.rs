//! Vendors, groups, operators, and a terminal as terminal management sees it.

use rusqlite::{Connection, OptionalExtension, Row, params};
use wire::Serial;

use super::super::error::Db;
use super::super::rows;
use crate::{Offer, OfferState, Operator, StoreError, TmsTerminal, Vendor, limits};

const VENDOR: &str = "SELECT id, name, models, repository, approval_required, operator_required, created_at
 FROM vendors";

pub(in crate::sqlite) fn version(db: &Connection) -> Result<i64, StoreError> {
    db.prepare_cached("SELECT version FROM estate_version")
        .and_then(|mut s| s.query_row([], |row| row.get(0)))
        .db()
}

pub(in crate::sqlite) fn vendor(db: &Connection, id: &str) -> Result<Option<Vendor>, StoreError> {
    let read = || {
        let vendor =
            db.prepare_cached(&format!("{VENDOR} WHERE id = ?1"))?.query_row([id], vendor_row).optional()?;
        vendor.map(|vendor| with_roots(db, vendor)).transpose()
    };
    at_one_moment(db, read)
}

pub(in crate::sqlite) fn vendors(db: &Connection) -> Result<Vec<Vendor>, StoreError> {
    let read = || {
        let vendors: Vec<Vendor> = db
            .prepare_cached(&format!("{VENDOR} ORDER BY id"))?
            .query_map([], vendor_row)?
            .collect::<Result<_, _>>()?;
        vendors.into_iter().map(|vendor| with_roots(db, vendor)).collect()
    };
    at_one_moment(db, read)
}

fn vendor_row(row: &Row<'_>) -> rusqlite::Result<Vendor> {
    Ok(Vendor {
        id: row.get(0)?,
        name: row.get(1)?,
        models: rows::json(row, 2)?,
        roots: Vec::new(),
        repository: row.get(3)?,
        approval_required: row.get(4)?,
        operator_required: row.get(5)?,
        created_at: row.get(6)?,
    })
}

fn with_roots(db: &Connection, vendor: Vendor) -> rusqlite::Result<Vendor> {
    let roots = db
        .prepare_cached("SELECT der FROM vendor_roots WHERE vendor = ?1 ORDER BY position")?
        .query_map([&vendor.id], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(Vendor { roots, ..vendor })
}

pub(in crate::sqlite) fn groups(db: &Connection) -> Result<Vec<(String, u64)>, StoreError> {
    db.prepare_cached("SELECT name, count(*) FROM terminal_groups GROUP BY name ORDER BY name")
        .and_then(|mut s| s.query_map([], |row| Ok((row.get(0)?, rows::count(row, 1)?)))?.collect())
        .db()
}

pub(in crate::sqlite) fn operator(db: &Connection, id: &str) -> Result<Option<Operator>, StoreError> {
    db.prepare_cached("SELECT id, sealed, failures, locked FROM operators WHERE id = ?1")
        .and_then(|mut s| {
            s.query_row([id], |row| {
                Ok(Operator {
                    id: row.get(0)?,
                    sealed: row.get(1)?,
                    failures: row.get(2)?,
                    locked: row.get(3)?,
                })
            })
            .optional()
        })
        .db()
}

pub(in crate::sqlite) fn terminal(db: &Connection, sn: &Serial) -> Result<Option<TmsTerminal>, StoreError> {
    let read = || {
        let Some(mut terminal) = told(db, sn)? else { return Ok(None) };
        terminal.groups = db
            .prepare_cached("SELECT name FROM terminal_groups WHERE sn = ?1 ORDER BY name")?
            .query_map([sn.as_str()], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        terminal.offers = db
            .prepare_cached(
                "SELECT deployment, package, state, changed_at FROM offers WHERE sn = ?1
                 ORDER BY deployment DESC LIMIT ?2",
            )?
            .query_map(params![sn.as_str(), limits::OFFERS_SHOWN], offer_row)?
            .collect::<Result<_, _>>()?;
        Ok(Some(terminal))
    };
    at_one_moment(db, read)
}

fn told(db: &Connection, sn: &Serial) -> rusqlite::Result<Option<TmsTerminal>> {
    db.prepare_cached(
        "SELECT t.sn, m.installed, m.status, m.seen_at
         FROM terminals t LEFT JOIN tms_terminals m ON m.sn = t.sn WHERE t.sn = ?1",
    )?
    .query_row([sn.as_str()], |row| {
        Ok(TmsTerminal {
            sn: rows::serial(row, 0)?,
            installed: rows::json_or_null(row, 1)?.unwrap_or_default(),
            status: row.get(2)?,
            seen_at: row.get(3)?,
            groups: Vec::new(),
            offers: Vec::new(),
        })
    })
    .optional()
}

fn offer_row(row: &Row<'_>) -> rusqlite::Result<Offer> {
    let state = match row.get_ref(2)?.as_str()? {
        "offered" => OfferState::Offered,
        "installed" => OfferState::Installed,
        _ => OfferState::Failed,
    };
    Ok(Offer { deployment: row.get(0)?, package: row.get(1)?, state, at: row.get(3)? })
}

/// Runs several reads so that no commit falls between them.
pub(super) fn at_one_moment<T>(
    db: &Connection,
    read: impl FnOnce() -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    db.prepare_cached("BEGIN").and_then(|mut s| s.execute([])).db()?;
    let _moment = Moment(db);
    read().db()
}

/// Lets the moment go when dropped, after a panic too: the next read of this connection begins one of its own.
struct Moment<'c>(&'c Connection);

impl Drop for Moment<'_> {
    fn drop(&mut self) {
        // Nothing was written. If this fails, SQLite has let go itself.
        let _ = self.0.prepare_cached("COMMIT").and_then(|mut s| s.execute([]));
    }
}
