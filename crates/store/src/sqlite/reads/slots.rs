//! TMK slots.

use rusqlite::{Connection, OptionalExtension, Row, params};
use wire::{Serial, Slot};

use super::super::error::Db;
use super::super::rows::{self, key_columns};
use crate::{HeldKey, SlotRecord, StoreError, limits};

pub(in crate::sqlite) fn slot(db: &Connection, sn: &Serial, slot: Slot) -> Result<SlotRecord, StoreError> {
    let mut record = SlotRecord::default();
    // State by state, because each has an index of its own.
    db.prepare_cached(concat!(
        "SELECT ",
        key_columns!(),
        ", state FROM tmks WHERE sn = ?1 AND slot = ?2 AND state = 'pending' UNION ALL SELECT ",
        key_columns!(),
        ", state FROM tmks WHERE sn = ?1 AND slot = ?2 AND state = 'active' UNION ALL SELECT * FROM (SELECT ",
        key_columns!(),
        ", state FROM tmks WHERE sn = ?1 AND slot = ?2 AND state = 'retired' ORDER BY id DESC LIMIT ?3)"
    ))
    .and_then(|mut s| {
        let mut found = s.query(params![sn.as_str(), slot.index(), limits::RETIRED_SHOWN])?;
        while let Some(row) = found.next()? {
            let (key, state) = key_with_state(row)?;
            put(&mut record, key, state);
        }
        Ok(())
    })
    .db()?;
    // After the keys: a counter read too early would only be taken.
    record.load_counter = db
        .prepare_cached(
            "SELECT c.counter FROM terminals t JOIN load_counters c ON c.key_serial = t.key_serial
             WHERE t.sn = ?1 AND c.slot = ?2",
        )
        .and_then(|mut s| {
            s.query_row(params![sn.as_str(), slot.index()], |row| rows::count(row, 0)).optional()
        })
        .db()?
        .unwrap_or(0);
    Ok(record)
}

pub(in crate::sqlite) fn slots(db: &Connection, sn: &Serial) -> Result<Vec<(Slot, SlotRecord)>, StoreError> {
    let mut records: Vec<(Slot, SlotRecord)> = Vec::new();
    db.prepare_cached(concat!(
        "SELECT ",
        key_columns!(),
        ", state, slot FROM tmks WHERE sn = ?1 AND state = 'pending' UNION ALL SELECT ",
        key_columns!(),
        ", state, slot FROM tmks WHERE sn = ?1 AND state = 'active' UNION ALL SELECT ",
        key_columns!(),
        ", state, slot FROM tmks WHERE sn = ?1 AND state = 'retired' ORDER BY slot, id DESC"
    ))
    .and_then(|mut s| {
        let mut found = s.query([sn.as_str()])?;
        while let Some(row) = found.next()? {
            let slot = rows::slot(row, 9)?;
            let (key, state) = key_with_state(row)?;
            match records.last_mut() {
                Some((last, record)) if *last == slot => put(record, key, state),
                _ => {
                    let mut record = SlotRecord::default();
                    put(&mut record, key, state);
                    records.push((slot, record));
                }
            }
        }
        Ok(())
    })
    .db()?;
    for (slot, counter) in counters(db, sn)? {
        if let Some((_, record)) = records.iter_mut().find(|(of, _)| *of == slot) {
            record.load_counter = counter;
        }
    }
    Ok(records)
}

fn counters(db: &Connection, sn: &Serial) -> Result<Vec<(Slot, u64)>, StoreError> {
    db.prepare_cached(
        "SELECT c.slot, c.counter FROM terminals t JOIN load_counters c ON c.key_serial = t.key_serial
         WHERE t.sn = ?1",
    )
    .and_then(|mut s| {
        s.query_map([sn.as_str()], |row| Ok((rows::slot(row, 0)?, rows::count(row, 1)?)))?.collect()
    })
    .db()
}

#[derive(Clone, Copy)]
enum State {
    Pending,
    Active,
    Retired,
}

fn key_with_state(row: &Row<'_>) -> rusqlite::Result<(HeldKey, State)> {
    let state = match row.get_ref(8)?.as_str()? {
        "pending" => State::Pending,
        "active" => State::Active,
        _ => State::Retired,
    };
    Ok((rows::held_key(row)?, state))
}

fn put(record: &mut SlotRecord, key: HeldKey, state: State) {
    match state {
        State::Pending => record.pending = Some(key),
        State::Active => record.active = Some(key),
        State::Retired if record.retired.len() < limits::RETIRED_SHOWN as usize => record.retired.push(key),
        State::Retired => {}
    }
}
