//! The three kinds against real folders, databases and HTTP servers: all by the conformance suite, each by what can go
//! wrong with it.

mod http;
mod http_server;
mod https;
mod kinds;

use std::sync::Arc;

use store::{SqliteOptions, SqliteStore};

use super::{OpenError, Repository, conformance::Known, open};

/// Some blocks and a piece; no two blocks alike.
fn content() -> Vec<u8> {
    (0..1_100_003_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]).collect()
}

const PATH: &str = "pay/1.2.0/pay app.bin";

fn known(content: &[u8]) -> Known<'_> {
    Known { path: PATH, content, missing: "pay/1.2.0/other.bin" }
}

/// A store in a folder that lives as long as the test.
fn store() -> (tempfile::TempDir, Arc<SqliteStore>) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db"), SqliteOptions::default()).unwrap();
    (folder, Arc::new(store))
}

/// Opens a repository that is not in the database.
fn opened(settings: &serde_json::Value) -> Result<Arc<dyn Repository>, OpenError> {
    let (_folder, store) = store();
    open(&settings.to_string(), "ACME", store)
}
