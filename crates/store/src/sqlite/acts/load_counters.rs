//! Load counters: each frame that carries a TMK of suite 02 takes the next one of its slot, once (3-hardened.md,
//! Transcript and keys). The layout's own trigger refuses a step back.

use rusqlite::params;
use wire::{Kcv, Serial, Slot, Suite};

use super::super::error::Db;
use super::super::writer::Tx;
use crate::{StoreError, suite_of};

/// Refuses a key of suite 02 without a counter, and one of suite 01 with one.
pub(super) fn check(kcv: Kcv, counter: Option<u64>) -> Result<(), StoreError> {
    if (suite_of(kcv) == Suite::EC_AES) == counter.is_some() {
        return Ok(());
    }
    Err(StoreError::Invalid("a TMK of suite 02 is sent with a load counter, one of suite 01 without"))
}

/// Whether a counter is above the last one.
pub(super) fn is_free(
    tx: &Tx<'_>,
    (sn, slot): (&Serial, Slot),
    counter: Option<u64>,
) -> Result<bool, StoreError> {
    let Some(counter) = counter else { return Ok(true) };
    tx.prepare(
        "SELECT 1 FROM terminals t JOIN load_counters c ON c.key_serial = t.key_serial
         WHERE t.sn = ?1 AND c.slot = ?2 AND c.counter >= ?3",
    )?
    .exists(params![sn.as_str(), slot.index(), number(counter)?])
    .db()
    .map(|taken| !taken)
}

/// Takes a counter, if it is above the last one.
pub(super) fn take(
    tx: &Tx<'_>,
    (key_serial, slot): (&Serial, Slot),
    counter: Option<u64>,
) -> Result<(), StoreError> {
    let Some(counter) = counter else { return Ok(()) };
    tx.prepare(
        "INSERT INTO load_counters (key_serial, slot, counter) VALUES (?1, ?2, ?3)
         ON CONFLICT (key_serial, slot) DO UPDATE SET counter = excluded.counter
         WHERE excluded.counter > load_counters.counter",
    )?
    .execute(params![key_serial.as_str(), slot.index(), number(counter)?])
    .db()
    .map(|_| ())
}

fn number(counter: u64) -> Result<i64, StoreError> {
    let number = i64::try_from(counter).ok().filter(|counter| *counter >= 1);
    number.ok_or(StoreError::Invalid("a load counter is from 1 to 2^63 - 1"))
}
