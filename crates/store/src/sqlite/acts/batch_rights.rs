//! Which terminals a vendor's batch may touch at the KMS: none that another open order lists, and of those that are known
//! only the vendor's own, or such as its order names.

use rusqlite::params;
use wire::{Device, Serial};

use super::super::error::Db;
use super::super::writer::Tx;
use super::orders::{Found, lists};
use crate::{CollectedTerminal, Refusal, StoreError};

/// Why this order's batch may not bring this terminal.
pub(super) fn refused(
    tx: &Tx<'_>,
    order: &Found,
    partner: &str,
    terminal: &CollectedTerminal,
) -> Result<Option<Refusal>, StoreError> {
    let device = &terminal.device;
    let listed = lists(tx, order.id, device.sn())?;
    if order.listed && !listed {
        return Ok(not_in_order("the order does not list this serial".to_owned()));
    }
    if let Some(refusal) = listed_elsewhere(tx, order.id, device)? {
        return Ok(Some(refusal));
    }
    if terminal.replaces { others_terminal(tx, order, partner, device.sn(), listed) } else { Ok(None) }
}

/// Two people signed that another open order is to bring this serial: its keys come for that order or not at all. That
/// holds for the PIN pad's serial too, as that one is what keys belong to.
fn listed_elsewhere(tx: &Tx<'_>, order: i64, device: &Device) -> Result<Option<Refusal>, StoreError> {
    for (what, serial) in [("serial", Some(device.sn())), ("PIN pad's serial", device.external_pin_pad())] {
        let Some(serial) = serial else { continue };
        let other = tx
            .prepare(
                "SELECT 1 FROM order_serials s JOIN orders o ON o.id = s.order_id
                 WHERE s.sn = ?1 AND o.closed_at IS NULL AND o.id <> ?2",
            )?
            .exists(params![serial.as_str(), order])
            .db()?;
        if other {
            // Not which: the text goes to the vendor, and who else sells to this acquirer is none of its business.
            return Ok(not_in_order(format!("another open order lists {serial}, this terminal's {what}")));
        }
    }
    Ok(None)
}

/// Whether the terminal that would be given another TK is somebody else's to replace: of the vendor whose batch brought
/// its TK, or whose replacement waits. What no batch brought was collected by our own stations; a vendor replaces that
/// where two people named it.
fn others_terminal(
    tx: &Tx<'_>,
    order: &Found,
    partner: &str,
    sn: &Serial,
    listed: bool,
) -> Result<Option<Refusal>, StoreError> {
    let vendors: Vec<Option<String>> = tx
        .prepare(
            "SELECT b.partner FROM terminals t LEFT JOIN received_batches b ON b.id = t.collection
             WHERE t.sn = ?1 AND t.acquirer = ?2
             UNION ALL
             SELECT b.partner FROM replacements r JOIN received_batches b ON b.id = r.collection
             JOIN terminals t ON t.sn = r.sn
             WHERE r.sn = ?1 AND r.state = 'waiting' AND t.acquirer = ?2",
        )?
        .query_map(params![sn.as_str(), order.buyer], |row| row.get(0))
        .and_then(Iterator::collect)
        .db()?;
    if vendors.iter().flatten().any(|vendor| vendor != partner) {
        let text = "another vendor's batch brought this terminal; only that vendor's may replace its key";
        return Ok(Some(Refusal { code: "other-vendor".to_owned(), text: text.to_owned() }));
    }
    let by_station = vendors.iter().any(Option::is_none);
    let text = "no batch brought this terminal; one replaces its key only for an order that lists its serial";
    Ok(if by_station && !listed { not_in_order(text.to_owned()) } else { None })
}

fn not_in_order(text: String) -> Option<Refusal> {
    Some(Refusal { code: "not-in-order".to_owned(), text })
}
