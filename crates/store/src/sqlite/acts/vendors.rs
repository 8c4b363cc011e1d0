//! Vendors, and groups of terminals.

use rusqlite::params;
use serde_json::json;
use wire::Serial;

use super::super::error::Db;
use super::super::writer::Tx;
use super::{at_most, no_more, to_json, with_facts};
use crate::{Event, StoreError, Vendor, limits};

pub(in crate::sqlite) fn put(tx: &Tx<'_>, vendor: &Vendor, event: &Event) -> Result<(), StoreError> {
    at_most("a vendor's id", vendor.id.len(), limits::NAME)?;
    at_most("a vendor's name", vendor.name.len(), limits::NAME)?;
    at_most("a vendor's repository", vendor.repository.len(), limits::JSON)?;
    no_more("roots of a vendor", vendor.roots.len(), limits::ROOTS)?;
    let models = to_json("a vendor's models", &vendor.models, limits::JSON)?;
    tx.prepare(
        "INSERT INTO vendors (id, name, models, repository, approval_required, operator_required, created_at,
            changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) ON CONFLICT (id) DO UPDATE
         SET name = ?2, models = ?3, repository = ?4, approval_required = ?5, operator_required = ?6,
            changed_at = ?7",
    )?
    .execute(params![
        vendor.id,
        vendor.name,
        models,
        vendor.repository,
        vendor.approval_required,
        vendor.operator_required,
        event.at
    ])
    .db()?;
    tx.prepare("DELETE FROM vendor_roots WHERE vendor = ?1")?.execute([&vendor.id]).db()?;
    let mut enter = tx.prepare("INSERT INTO vendor_roots (vendor, position, der) VALUES (?1, ?2, ?3)")?;
    for (position, der) in (0_i64..).zip(&vendor.roots) {
        at_most("a vendor's root", der.len(), limits::DER)?;
        enter.execute(params![vendor.id, position, der]).db()?;
    }
    tx.append(event).map(|_| ())
}

pub(in crate::sqlite) fn known(tx: &Tx<'_>, vendor: &str) -> Result<(), StoreError> {
    let known = tx.prepare("SELECT 1 FROM vendors WHERE id = ?1")?.exists([vendor]).db()?;
    if known { Ok(()) } else { Err(StoreError::NoSuchVendor(vendor.to_owned())) }
}

pub(in crate::sqlite) fn set_group(
    tx: &Tx<'_>,
    name: &str,
    add: &[Serial],
    remove: &[Serial],
    event: &Event,
) -> Result<(), StoreError> {
    at_most("a group's name", name.len(), limits::NAME)?;
    no_more("serials of a group", add.len().saturating_add(remove.len()), limits::GROUP_CHANGE)?;
    let mut is_known = tx.prepare("SELECT 1 FROM terminals WHERE sn = ?1")?;
    for sn in add.iter().chain(remove) {
        if !is_known.exists([sn.as_str()]).db()? {
            return Err(StoreError::NoSuchTerminal(sn.clone()));
        }
    }
    let (mut added, mut removed) = (0, 0);
    let mut join =
        tx.prepare("INSERT INTO terminal_groups (name, sn) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    for sn in add {
        added += join.execute([name, sn.as_str()]).db()?;
    }
    let mut leave = tx.prepare("DELETE FROM terminal_groups WHERE name = ?1 AND sn = ?2")?;
    for sn in remove {
        removed += leave.execute([name, sn.as_str()]).db()?;
    }
    tx.append(&with_facts(event, json!({ "added": added, "removed": removed }))).map(|_| ())
}
