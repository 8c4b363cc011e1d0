//! Entering acquirers.

use rusqlite::params;

use super::super::error::Db;
use super::super::writer::Tx;
use crate::{Event, NewAcquirer, StoreError};

pub(in crate::sqlite) fn put(tx: &Tx<'_>, acquirer: &NewAcquirer, event: &Event) -> Result<(), StoreError> {
    let entered = tx
        .prepare(
            "INSERT INTO acquirers (id, name, created_at) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![acquirer.id, acquirer.name, event.at])
        .db()?;
    if entered == 0 {
        return Err(StoreError::AlreadyThere { what: "acquirer", id: acquirer.id.clone() });
    }
    tx.append(event).map(|_| ())
}
