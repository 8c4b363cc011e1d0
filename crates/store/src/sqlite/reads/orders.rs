//! Orders, the serials they list, and what a serial went through.

use rusqlite::{Connection, OptionalExtension, Row, params};
use wire::Serial;

use super::super::error::Db;
use super::super::rows;
use super::batches::{self, item};
use super::estate::at_one_moment;
use super::page;
use crate::{
    HistoryCollection, Listed, OrderRecord, OrderSerial, OrderTerminal, Person, SerialHistory, StoreError,
    limits,
};

const ORDER: &str = "SELECT name, vendor, buyer, model, listed, asked_by, asked_by_serial, approved_by,
    approved_by_serial, added_at, closed_at FROM orders";

pub(in crate::sqlite) fn order(db: &Connection, order: &str) -> Result<Option<OrderRecord>, StoreError> {
    db.prepare_cached(&format!("{ORDER} WHERE name = ?1"))
        .and_then(|mut s| s.query_row([order], order_row).optional())
        .db()
}

pub(in crate::sqlite) fn orders(
    db: &Connection,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<OrderRecord>, StoreError> {
    db.prepare_cached(&format!("{ORDER} WHERE name > ?1 ORDER BY name LIMIT ?2"))
        .and_then(|mut s| s.query_map(params![after.unwrap_or(""), page(limit)], order_row)?.collect())
        .db()
}

fn order_row(row: &Row<'_>) -> rusqlite::Result<OrderRecord> {
    Ok(OrderRecord {
        order: row.get(0)?,
        vendor: row.get(1)?,
        buyer: row.get(2)?,
        model: row.get(3)?,
        listed: row.get::<_, Option<i64>>(4)?.map(i64::unsigned_abs),
        asked_by: Person { subject: row.get(5)?, certificate_serial: row.get(6)? },
        approved_by: Person { subject: row.get(7)?, certificate_serial: row.get(8)? },
        added_at: row.get(9)?,
        closed_at: row.get(10)?,
    })
}

/// A page of an order's serials: the terminal beside each, whether its present TK is in a batch, and the newest batch of
/// this order that the terminal was in.
const SERIALS: &str = "
    SELECT s.sn, t.fingerprint, t.tk_generation, t.ctk_pu IS NOT NULL OR t.tek IS NOT NULL, t.changed_at,
        EXISTS (SELECT 1 FROM batch_items i WHERE i.sn = t.sn AND i.tk_generation = t.tk_generation),
        (SELECT max(i.tk_generation) FROM batch_items i JOIN batches b ON b.id = i.batch
         WHERE i.sn = s.sn AND b.order_id = s.order_id)
    FROM order_serials s LEFT JOIN terminals t ON t.sn = s.sn
    WHERE s.order_id = (SELECT id FROM orders WHERE name = ?1) AND s.sn > ?2 ORDER BY s.sn LIMIT ?3";

pub(in crate::sqlite) fn serials(
    db: &Connection,
    order: &str,
    after: Option<&Serial>,
    limit: u32,
) -> Result<Vec<OrderSerial>, StoreError> {
    let read = || {
        let after = after.map_or("", Serial::as_str);
        let found: Vec<(Serial, Option<OrderTerminal>, Option<i64>)> = db
            .prepare_cached(SERIALS)?
            .query_map(params![order, after, page(limit)], |row| {
                Ok((rows::serial(row, 0)?, terminal_row(row)?, row.get(6)?))
            })?
            .collect::<Result<_, _>>()?;
        let of = |(sn, terminal, generation): (Serial, _, Option<i64>)| {
            let last = generation.map(|generation| item(db, &sn, generation)).transpose()?;
            let received = batches::received_last(db, order, &sn)?;
            Ok(OrderSerial { sn, terminal, last: last.flatten(), received })
        };
        found.into_iter().map(of).collect()
    };
    at_one_moment(db, read)
}

fn terminal_row(row: &Row<'_>) -> rusqlite::Result<Option<OrderTerminal>> {
    let Some(fingerprint) = row.get(1)? else { return Ok(None) };
    Ok(Some(OrderTerminal {
        fingerprint,
        tk_generation: row.get(2)?,
        has_tk: row.get(3)?,
        changed_at: row.get(4)?,
        sent: row.get(5)?,
    }))
}

pub(in crate::sqlite) fn listing(db: &Connection, serials: &[Serial]) -> Result<Vec<Listed>, StoreError> {
    no_more(serials)?;
    let read = || {
        let mut select = db.prepare_cached(
            "SELECT o.name, o.model FROM order_serials s JOIN orders o ON o.id = s.order_id
             WHERE s.sn = ?1 AND o.closed_at IS NULL",
        )?;
        let mut found = Vec::new();
        for sn in serials {
            let listed = select
                .query_row([sn.as_str()], |row| {
                    Ok(Listed { sn: sn.clone(), order: row.get(0)?, model: row.get(1)? })
                })
                .optional()?;
            found.extend(listed);
        }
        Ok(found)
    };
    at_one_moment(db, read)
}

pub(in crate::sqlite) fn listed_in(
    db: &Connection,
    order: &str,
    serials: &[Serial],
) -> Result<Vec<Serial>, StoreError> {
    no_more(serials)?;
    let read = || {
        let mut select = db.prepare_cached(
            "SELECT 1 FROM order_serials WHERE order_id = (SELECT id FROM orders WHERE name = ?1) AND sn = ?2",
        )?;
        let mut found = Vec::new();
        for sn in serials {
            if select.exists([order, sn.as_str()])? {
                found.push(sn.clone());
            }
        }
        Ok(found)
    };
    at_one_moment(db, read)
}

fn no_more(serials: &[Serial]) -> Result<(), StoreError> {
    if serials.len() <= limits::BATCH {
        return Ok(());
    }
    Err(StoreError::TooMany { what: "serials in one question", limit: limits::BATCH })
}

pub(in crate::sqlite) fn history(db: &Connection, sn: &Serial) -> Result<SerialHistory, StoreError> {
    let read = || {
        let orders = db
            .prepare_cached(
                "SELECT o.name FROM order_serials s JOIN orders o ON o.id = s.order_id
                 WHERE s.sn = ?1 ORDER BY o.id",
            )?
            .query_map([sn.as_str()], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let collections = db
            .prepare_cached(COLLECTIONS)?
            .query_map([sn.as_str()], collection_row)?
            .collect::<Result<_, _>>()?;
        Ok(SerialHistory {
            sn: sn.clone(),
            orders,
            collections,
            sent: batches::sent(db, sn)?,
            received: batches::received_of(db, sn)?,
        })
    };
    at_one_moment(db, read)
}

/// TKs in force and replaced, and replacements that never took effect, in the order in which their packages came.
const COLLECTIONS: &str = "
    SELECT k.tk_generation, k.fingerprint, c.signer, c.signer_serial, c.station, c.collected_at, c.uploaded_at, k.state,
        k.until
    FROM (SELECT tk_generation, fingerprint, collection, 'in-force' AS state, NULL AS until FROM terminals WHERE sn = ?1
          UNION ALL
          SELECT tk_generation, fingerprint, collection, 'replaced', until FROM past_tks WHERE sn = ?1
          UNION ALL
          SELECT NULL, fingerprint, collection, state, decided_at FROM replacements
          WHERE sn = ?1 AND state <> 'approved') k
    JOIN collections c ON c.id = k.collection
    ORDER BY c.id, k.tk_generation";

fn collection_row(row: &Row<'_>) -> rusqlite::Result<HistoryCollection> {
    Ok(HistoryCollection {
        tk_generation: row.get(0)?,
        fingerprint: row.get(1)?,
        signer: Person { subject: row.get(2)?, certificate_serial: row.get(3)? },
        station: row.get(4)?,
        collected_at: row.get(5)?,
        uploaded_at: row.get(6)?,
        state: row.get(7)?,
        until: row.get(8)?,
    })
}
