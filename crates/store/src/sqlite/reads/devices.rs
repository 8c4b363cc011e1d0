//! Devices and the keys of the RKS.

use rusqlite::{Connection, OptionalExtension, Row, params};
use wire::{Serial, Slot, Suite};

use super::super::error::Db;
use super::super::rows::{self, working_columns};
use super::page;
use crate::{
    DeviceRecord, Dik1Record, Dik1Scope, HeldDmk, Identity, NewDik1, NewRksWorkKey, RksWorkKeyRecord,
    StoreError, WorkingKind, WorkingSlot,
};

const DEVICE: &str =
    "SELECT d.sn, d.key_serial, t.acquirer, d.dik1, d.factor_digest, d.factor, d.dik2_kcv, d.dmk, d.dmk_kcv,
    coalesce(r.kld, i.source), coalesce(r.run, 'import'), d.loaded_at, d.compromised
 FROM devices d JOIN terminals t ON t.sn = d.sn LEFT JOIN kld_reports r ON r.id = d.report
 LEFT JOIN estate_imports i ON i.id = d.import";

pub(in crate::sqlite) fn device(db: &Connection, sn: &Serial) -> Result<Option<DeviceRecord>, StoreError> {
    db.prepare_cached(&format!("{DEVICE} WHERE d.sn = ?1"))
        .and_then(|mut s| s.query_row([sn.as_str()], device_row).optional())
        .db()
}

pub(in crate::sqlite) fn devices(
    db: &Connection,
    after: Option<&Serial>,
    limit: u32,
) -> Result<Vec<DeviceRecord>, StoreError> {
    db.prepare_cached(&format!("{DEVICE} WHERE d.sn > ?1 ORDER BY d.sn LIMIT ?2"))
        .and_then(|mut s| {
            let after = after.map_or("", Serial::as_str);
            s.query_map(params![after, page(limit)], device_row)?.collect()
        })
        .db()
}

fn device_row(row: &Row<'_>) -> rusqlite::Result<DeviceRecord> {
    let identity = match (row.get(3)?, row.get(4)?, row.get(5)?) {
        (Some(dik1), Some(factor_digest), Some(factor)) => {
            Some(Identity { dik1, factor_digest, factor, kcv: rows::kcv(row, 6)? })
        }
        _ => None,
    };
    let dmk = match row.get(7)? {
        Some(block) => Some(HeldDmk { block, kcv: rows::kcv(row, 8)? }),
        None => None,
    };
    Ok(DeviceRecord {
        sn: rows::serial(row, 0)?,
        key_serial: rows::serial(row, 1)?,
        acquirer: row.get(2)?,
        identity,
        dmk,
        kld: row.get(9)?,
        run: row.get(10)?,
        loaded_at: row.get(11)?,
        compromised: row.get(12)?,
    })
}

pub(in crate::sqlite) fn dik1(db: &Connection, label: &str) -> Result<Option<Dik1Record>, StoreError> {
    db.prepare_cached(
        "SELECT label, acquirer, model, batch, block, kcv, created_at FROM dik1s WHERE label = ?1",
    )
    .and_then(|mut s| s.query_row([label], dik1_row).optional())
    .db()
}

pub(in crate::sqlite) fn dik1s(db: &Connection) -> Result<Vec<Dik1Record>, StoreError> {
    db.prepare_cached(
        "SELECT label, acquirer, model, batch, block, kcv, created_at FROM dik1s ORDER BY label",
    )
    .and_then(|mut s| s.query_map([], dik1_row)?.collect())
    .db()
}

fn dik1_row(row: &Row<'_>) -> rusqlite::Result<Dik1Record> {
    let scope = match (row.get(2)?, row.get(3)?) {
        (Some(model), Some(batch)) => Dik1Scope::Batch { model, batch },
        _ => Dik1Scope::Acquirer,
    };
    let dik1 = NewDik1 {
        label: row.get(0)?,
        acquirer: row.get(1)?,
        scope,
        block: row.get(4)?,
        kcv: rows::kcv(row, 5)?,
    };
    Ok(Dik1Record { dik1, created_at: row.get(6)? })
}

pub(in crate::sqlite) fn active_work_key(
    db: &Connection,
    suite: Suite,
) -> Result<Option<RksWorkKeyRecord>, StoreError> {
    db.prepare_cached(
        "SELECT k.certificate_sha256, k.private_block, k.spki, k.intermediates, c.der, k.created_at
         FROM work_keys k JOIN certificates c ON c.sha256 = k.certificate_sha256
         WHERE k.state = 'active' AND k.role = 'rks-work' AND k.suite = ?1",
    )
    .and_then(|mut s| {
        s.query_row([suite.byte()], |row| {
            let key = NewRksWorkKey {
                certificate_sha256: row.get(0)?,
                private_block: row.get(1)?,
                spki: row.get(2)?,
                intermediates: row.get(3)?,
                suite,
            };
            Ok(RksWorkKeyRecord { key, certificate: row.get(4)?, created_at: row.get(5)? })
        })
        .optional()
    })
    .db()
}

pub(in crate::sqlite) fn working_slot(
    db: &Connection,
    sn: &Serial,
    slot: Slot,
    kind: WorkingKind,
) -> Result<WorkingSlot, StoreError> {
    let mut found = WorkingSlot::default();
    db.prepare_cached(concat!(
        "SELECT ",
        working_columns!(),
        ", state FROM working_keys WHERE sn = ?1 AND slot = ?2 AND kind = ?3"
    ))
    .and_then(|mut s| {
        let mut keys = s.query(params![sn.as_str(), slot.index(), rows::kind_text(kind)])?;
        while let Some(row) = keys.next()? {
            let key = rows::working_key(row)?;
            match row.get_ref(4)?.as_str()? {
                "pending" => found.pending = Some(key),
                _ => found.active = Some(key),
            }
        }
        Ok(())
    })
    .db()?;
    Ok(found)
}
