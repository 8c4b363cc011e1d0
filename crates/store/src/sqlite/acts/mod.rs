//! What changes something, one file for each group. An act is a function of the batch's transaction; it runs in a
//! savepoint of its own and appends its event there.

use serde::Serialize;
use serde_json::{Value, json};

use crate::{Event, StoreError};

pub(super) mod acquirers;
mod batch_rights;
pub(super) mod batches;
pub(super) mod ceremonies;
pub(super) mod certificates;
pub(super) mod collections;
pub(super) mod deployments;
pub(super) mod estate_imports;
pub(super) mod files;
pub(super) mod kld_reports;
pub(super) mod load_counters;
pub(super) mod offers;
pub(super) mod operators;
pub(super) mod orders;
pub(super) mod packages;
pub(super) mod received_batches;
pub(super) mod refusals;
pub(super) mod replacements;
pub(super) mod rks_keys;
pub(super) mod sign_ins;
pub(super) mod suites;
pub(super) mod tks;
pub(super) mod tmks;
pub(super) mod vendors;
pub(super) mod windows;
pub(super) mod working;
pub(super) mod zones;

/// The event with what only the store knows (a key's id, how many were dropped), under the one name `store`.
fn with_facts(event: &Event, facts: Value) -> Event {
    let mut event = event.clone();
    match &mut event.detail {
        Value::Object(members) => {
            members.insert("store".into(), facts);
        }
        Value::Null => event.detail = json!({ "store": facts }),
        other => event.detail = json!({ "store": facts, "detail": other.take() }),
    }
    event
}

/// Refuses what is larger than the store takes.
fn at_most(what: &'static str, length: usize, limit: usize) -> Result<(), StoreError> {
    if length <= limit { Ok(()) } else { Err(StoreError::TooLarge { what, limit }) }
}

/// Refuses what is more than the store takes at once.
fn no_more(what: &'static str, count: usize, limit: usize) -> Result<(), StoreError> {
    if count <= limit { Ok(()) } else { Err(StoreError::TooMany { what, limit }) }
}

/// A list or a record as the JSON that is kept of it.
fn to_json<T: Serialize + ?Sized>(what: &'static str, value: &T, limit: usize) -> Result<String, StoreError> {
    let text = serde_json::to_string(value).map_err(|e| StoreError::Database(e.to_string()))?;
    at_most(what, text.len(), limit)?;
    Ok(text)
}

/// A size as SQLite keeps it.
fn integer(what: &'static str, value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Invalid(what))
}

/// How many there are, as SQLite keeps it; lists are bounded far below.
fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
