//! What changes something, one file for each group. An act is a function of the batch's transaction; it runs in a
//! savepoint of its own and appends its event there.

use serde_json::{Value, json};

use crate::{Event, StoreError};

pub(super) mod acquirers;
pub(super) mod certificates;
pub(super) mod collections;
pub(super) mod kld_reports;
pub(super) mod refusals;
pub(super) mod replacements;
pub(super) mod rks_keys;
pub(super) mod tks;
pub(super) mod tmks;
pub(super) mod windows;
pub(super) mod working;

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
