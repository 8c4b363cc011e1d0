//! Production orders: entered with their serials, closed once.

use rusqlite::{OptionalExtension, params};
use serde_json::json;
use sha2::{Digest, Sha256};
use wire::Serial;

use super::super::error::Db;
use super::super::writer::Tx;
use super::{at_most, count, no_more, with_facts};
use crate::{Event, NewOrder, OrderOutcome, StoreError, limits};

/// An order that has the name already.
struct Known {
    vendor: String,
    buyer: String,
    model: String,
    listed: bool,
    digest: [u8; 32],
    open: bool,
}

pub(in crate::sqlite) fn put(
    tx: &Tx<'_>,
    order: &NewOrder,
    event: &Event,
) -> Result<OrderOutcome, StoreError> {
    check(order)?;
    let serials = order.serials.as_deref().unwrap_or_default();
    let digest = digest_of(serials);
    if let Some(known) = known(tx, &order.order)? {
        let same = known.open
            && known.digest == digest
            && known.listed == order.serials.is_some()
            && (&known.vendor, &known.buyer, &known.model) == (&order.vendor, &order.buyer, &order.model);
        return Ok(if same { OrderOutcome::Same } else { OrderOutcome::Exists });
    }
    for sn in serials {
        if let Some(taken_by) = open_order_of(tx, sn)? {
            return Ok(OrderOutcome::SerialTaken { sn: sn.clone(), order: taken_by });
        }
    }
    let id: i64 =
        tx.prepare("SELECT coalesce(max(id), 0) + 1 FROM orders")?.query_row([], |row| row.get(0)).db()?;
    // In the order of the table's key: each insertion then goes where the last one went.
    let mut sorted: Vec<&Serial> = serials.iter().collect();
    sorted.sort_unstable_by_key(|sn| sn.as_str());
    let mut insert = tx.prepare("INSERT INTO order_serials (order_id, sn) VALUES (?1, ?2)")?;
    for sn in sorted {
        insert.execute(params![id, sn.as_str()]).db()?;
    }
    tx.prepare(
        "INSERT INTO orders
            (id, name, vendor, buyer, model, listed, serials_digest, package, asked_by, asked_by_serial, approved_by,
             approved_by_serial, added_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        id,
        order.order,
        order.vendor,
        order.buyer,
        order.model,
        order.serials.as_ref().map(|serials| count(serials.len())),
        digest,
        order.package,
        order.asked_by.subject,
        order.asked_by.certificate_serial,
        order.approved_by.subject,
        order.approved_by.certificate_serial,
        event.at
    ])
    .db()?;
    let facts =
        json!({ "listed": order.serials.as_ref().map(Vec::len), "serials": crate::audit::hex(&digest) });
    tx.append(&with_facts(event, facts))?;
    Ok(OrderOutcome::Added)
}

pub(in crate::sqlite) fn close(tx: &Tx<'_>, order: &str, event: &Event) -> Result<bool, StoreError> {
    let closed = tx
        .prepare("UPDATE orders SET closed_at = ?2 WHERE name = ?1 AND closed_at IS NULL")?
        .execute(params![order, event.at])
        .db()?;
    if closed > 0 {
        tx.append(event)?;
    }
    Ok(closed > 0)
}

/// An order by its name, to hang things on.
pub(super) struct Found {
    pub(super) id: i64,
    pub(super) vendor: String,
    pub(super) buyer: String,
    pub(super) listed: bool,
    pub(super) open: bool,
}

pub(super) fn find(tx: &Tx<'_>, order: &str) -> Result<Option<Found>, StoreError> {
    tx.prepare("SELECT id, vendor, buyer, listed IS NOT NULL, closed_at IS NULL FROM orders WHERE name = ?1")?
        .query_row([order], |row| {
            Ok(Found {
                id: row.get(0)?,
                vendor: row.get(1)?,
                buyer: row.get(2)?,
                listed: row.get(3)?,
                open: row.get(4)?,
            })
        })
        .optional()
        .db()
}

/// Whether an order lists a serial.
pub(super) fn lists(tx: &Tx<'_>, order: i64, sn: &Serial) -> Result<bool, StoreError> {
    tx.prepare("SELECT 1 FROM order_serials WHERE order_id = ?1 AND sn = ?2")?
        .exists(params![order, sn.as_str()])
        .db()
}

fn check(order: &NewOrder) -> Result<(), StoreError> {
    for (what, text) in [
        ("an order's name", &order.order),
        ("a vendor's name", &order.vendor),
        ("a buyer's name", &order.buyer),
        ("a model", &order.model),
    ] {
        at_most(what, text.len(), limits::NAME)?;
        if text.is_empty() {
            return Err(StoreError::Invalid("an order has a name, a vendor, a buyer and a model"));
        }
    }
    at_most("an order's package", order.package.len(), limits::PACKAGE)?;
    if order.asked_by.may_be(&order.approved_by) {
        return Err(StoreError::Invalid("an order is signed by two people"));
    }
    let Some(serials) = &order.serials else { return Ok(()) };
    no_more("serials of an order", serials.len(), limits::ORDER)?;
    if serials.is_empty() {
        return Err(StoreError::Invalid("an order lists at least one serial, or none is asked for"));
    }
    let mut sorted: Vec<&str> = serials.iter().map(Serial::as_str).collect();
    sorted.sort_unstable();
    if sorted.is_sorted_by(|a, b| a < b) {
        return Ok(());
    }
    Err(StoreError::Invalid("an order lists each serial once"))
}

/// SHA-256 over the serials in the order of their bytes, each closed by a zero.
fn digest_of(serials: &[Serial]) -> [u8; 32] {
    let mut sorted: Vec<&str> = serials.iter().map(Serial::as_str).collect();
    sorted.sort_unstable();
    let hash =
        sorted.iter().fold(Sha256::new(), |hash, sn| hash.chain_update(sn.as_bytes()).chain_update([0]));
    hash.finalize().into()
}

fn known(tx: &Tx<'_>, order: &str) -> Result<Option<Known>, StoreError> {
    tx.prepare(
        "SELECT vendor, buyer, model, listed IS NOT NULL, serials_digest, closed_at IS NULL
         FROM orders WHERE name = ?1",
    )?
    .query_row([order], |row| {
        Ok(Known {
            vendor: row.get(0)?,
            buyer: row.get(1)?,
            model: row.get(2)?,
            listed: row.get(3)?,
            digest: row.get(4)?,
            open: row.get(5)?,
        })
    })
    .optional()
    .db()
}

fn open_order_of(tx: &Tx<'_>, sn: &Serial) -> Result<Option<String>, StoreError> {
    tx.prepare(
        "SELECT o.name FROM order_serials s JOIN orders o ON o.id = s.order_id
         WHERE s.sn = ?1 AND o.closed_at IS NULL",
    )?
    .query_row([sn.as_str()], |row| row.get(0))
    .optional()
    .db()
}
