//! What only SQLite can do wrong: a full disk, a read-only or locked or foreign file, a panicking act, and rows
//! changed behind its back.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::AuditFault;

mod events;
mod file;
mod migration;
mod orders;
mod plans;
mod tampering;
mod writing;

const NOW: i64 = 1_700_000_000_000;

fn event(kind: &'static str) -> Event {
    Event::new(NOW, kind, "server", "SN-1", json!({ "why": "test" }))
}

struct Bench {
    // First, so that the store closes before its folder goes.
    store: SqliteStore,
    path: PathBuf,
    _folder: TempDir,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let options = SqliteOptions { busy_wait: Duration::from_millis(50), ..SqliteOptions::default() };
    Bench { store: SqliteStore::open(&path, options).unwrap(), path, _folder: folder }
}

impl Bench {
    async fn append(&self, count: usize) {
        for _ in 0..count {
            self.store.audit_append(event("login")).await.unwrap();
        }
    }

    async fn put_acquirer(&self, id: &str) -> Result<(), StoreError> {
        let acquirer = NewAcquirer { id: id.into(), name: id.into() };
        self.store.put_acquirer(acquirer, event("acquirer")).await
    }

    async fn acquirers(&self) -> Vec<String> {
        self.store.acquirers().await.unwrap().into_iter().map(|a| a.id).collect()
    }

    /// Sets a pragma on the writer's own connection.
    async fn writer_pragma(&self, pragma: &'static str, value: i64) {
        self.store
            .act(move |tx| {
                tx.connection()
                    .pragma_update_and_check(None, pragma, value, |_| Ok(()))
                    .or_else(|_| tx.connection().pragma_update(None, pragma, value))
                    .map_err(|e| StoreError::Database(e.to_string()))
            })
            .await
            .unwrap();
    }

    /// A connection of the kind that an attacker with the file has.
    fn raw(&self) -> Connection {
        let raw = Connection::open(&self.path).unwrap();
        raw.busy_timeout(Duration::from_secs(5)).unwrap();
        raw
    }
}

/// Takes every trigger away, as whoever owns the file can.
fn without_triggers(raw: &Connection) {
    let names: Vec<String> = raw
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        raw.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
