//! The audit, read from the file by SQLite alone.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) actor: String,
    pub(crate) subject: String,
    pub(crate) detail: Value,
}

/// All events, oldest first.
pub(crate) fn read(database: &Path) -> Vec<Event> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut rows = connection.prepare("SELECT kind, actor, subject, detail FROM audit ORDER BY seq").unwrap();
    let events = rows.query_map([], |row| {
        let detail: String = row.get(3)?;
        Ok(Event {
            kind: row.get(0)?,
            actor: row.get(1)?,
            subject: row.get(2)?,
            detail: serde_json::from_str(&detail).unwrap(),
        })
    });
    events.unwrap().map(Result::unwrap).collect()
}
