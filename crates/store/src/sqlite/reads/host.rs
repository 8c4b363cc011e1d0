//! Sign-ins, working keys in use, zone keys, identities.

use rusqlite::{Connection, OptionalExtension, Row, params};
use wire::{Serial, Slot};

use super::super::error::Db;
use super::super::rows::{self, working_columns};
use super::estate::at_one_moment;
use super::page;
use crate::limits;
use crate::{
    ActiveWorking, HeldWorkingKey, NewZoneKey, PendingSignIn, StoreError, TerminalIdentity, WorkingKind,
    ZoneKeyRecord,
};

pub(in crate::sqlite) fn pending_sign_in(
    db: &Connection,
    sn: &Serial,
    slot: Slot,
) -> Result<Option<PendingSignIn>, StoreError> {
    let mut found: Option<PendingSignIn> = None;
    db.prepare_cached(
        "SELECT w.id, w.block, w.kcv, w.created_at, w.kind, s.tmk, s.rnd1, s.created_at
         FROM sign_ins s JOIN working_keys w ON w.sn = s.sn AND w.slot = s.slot AND w.state = 'pending'
         JOIN tmks t ON t.id = s.tmk AND t.state IN ('pending', 'active')
         WHERE s.sn = ?1 AND s.slot = ?2 ORDER BY w.id",
    )
    .and_then(|mut s| {
        let mut keys = s.query(params![sn.as_str(), slot.index()])?;
        while let Some(row) = keys.next()? {
            let key = (rows::kind(row, 4)?, rows::working_key(row)?);
            match &mut found {
                Some(sign_in) => sign_in.keys.push(key),
                None => {
                    found = Some(PendingSignIn {
                        tmk: row.get(5)?,
                        rnd1: row.get(6)?,
                        keys: vec![key],
                        created_at: row.get(7)?,
                    });
                }
            }
        }
        Ok(())
    })
    .db()?;
    Ok(found)
}

/// The hot path of PIN translation: one moment, one statement that is prepared once, one descent of an index for each
/// key and one to its row.
pub(in crate::sqlite) fn active_working(
    db: &Connection,
    wanted: &[(Serial, Slot, WorkingKind)],
) -> Result<Vec<Option<ActiveWorking>>, StoreError> {
    if wanted.len() > limits::WORKING_READ {
        return Err(StoreError::TooMany { what: "working keys", limit: limits::WORKING_READ });
    }
    let read = || {
        let mut statement = db.prepare_cached(concat!(
            "SELECT ",
            working_columns!(),
            ", key_serial, changed_at, uses FROM working_keys
             WHERE sn = ?1 AND slot = ?2 AND kind = ?3 AND state = 'active'"
        ))?;
        let one = |(sn, slot, kind): &(Serial, Slot, WorkingKind)| {
            let place = params![sn.as_str(), slot.index(), rows::kind_text(*kind)];
            statement.query_row(place, active_row).optional()
        };
        wanted.iter().map(one).collect()
    };
    at_one_moment(db, read)
}

fn active_row(row: &Row<'_>) -> rusqlite::Result<ActiveWorking> {
    let key: HeldWorkingKey = rows::working_key(row)?;
    Ok(ActiveWorking {
        key,
        key_serial: rows::serial(row, 4)?,
        activated_at: row.get(5)?,
        uses: rows::count(row, 6)?,
    })
}

pub(in crate::sqlite) fn zone_key(db: &Connection, zone: &str) -> Result<Option<ZoneKeyRecord>, StoreError> {
    db.prepare_cached(
        "SELECT id, zone, block, algorithm, kcv, created_at FROM zone_keys WHERE zone = ?1 AND state = 'active'",
    )
    .and_then(|mut s| s.query_row([zone], zone_row).optional())
    .db()
}

pub(in crate::sqlite) fn zone_keys(db: &Connection) -> Result<Vec<ZoneKeyRecord>, StoreError> {
    db.prepare_cached(
        "SELECT id, zone, block, algorithm, kcv, created_at FROM zone_keys WHERE state = 'active' ORDER BY zone",
    )
    .and_then(|mut s| s.query_map([], zone_row)?.collect())
    .db()
}

fn zone_row(row: &Row<'_>) -> rusqlite::Result<ZoneKeyRecord> {
    let key = NewZoneKey { zone: row.get(1)?, block: row.get(2)?, algorithm: row.get(3)?, kcv: row.get(4)? };
    Ok(ZoneKeyRecord { id: row.get(0)?, key, created_at: row.get(5)? })
}

pub(in crate::sqlite) fn identity(
    db: &Connection,
    sn: &Serial,
) -> Result<Option<TerminalIdentity>, StoreError> {
    db.prepare_cached("SELECT sn, terminal_id, merchant_id FROM identities WHERE sn = ?1")
        .and_then(|mut s| s.query_row([sn.as_str()], identity_row).optional())
        .db()
}

pub(in crate::sqlite) fn identity_of_terminal_id(
    db: &Connection,
    terminal_id: &str,
) -> Result<Option<TerminalIdentity>, StoreError> {
    db.prepare_cached("SELECT sn, terminal_id, merchant_id FROM identities WHERE terminal_id = ?1")
        .and_then(|mut s| s.query_row([terminal_id], identity_row).optional())
        .db()
}

pub(in crate::sqlite) fn identities_of_merchant(
    db: &Connection,
    merchant_id: &str,
    after: Option<&Serial>,
    limit: u32,
) -> Result<Vec<TerminalIdentity>, StoreError> {
    db.prepare_cached(
        "SELECT sn, terminal_id, merchant_id FROM identities WHERE merchant_id = ?1 AND sn > ?2
         ORDER BY sn LIMIT ?3",
    )
    .and_then(|mut s| {
        let after = after.map_or("", Serial::as_str);
        s.query_map(params![merchant_id, after, page(limit)], identity_row)?.collect()
    })
    .db()
}

fn identity_row(row: &Row<'_>) -> rusqlite::Result<TerminalIdentity> {
    Ok(TerminalIdentity { sn: rows::serial(row, 0)?, terminal_id: row.get(1)?, merchant_id: row.get(2)? })
}
