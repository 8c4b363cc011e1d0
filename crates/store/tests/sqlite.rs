//! The SQLite store against the cases that every store must pass.

#![allow(unreachable_pub, reason = "the cases are written as for another crate's tests")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a case fails by panicking, in its helpers too")]

mod conformance;

use keyferry_store::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

async fn fresh_store() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.sqlite"), SqliteOptions::default()).unwrap();
    (store, folder)
}

conformance::suite!(crate::fresh_store);
