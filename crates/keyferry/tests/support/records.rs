//! The KMS's database, read by SQLite alone.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// A TMK's state and check value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) state: String,
    pub(crate) kcv: String,
}

fn open(database: &Path) -> Connection {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    connection
}

/// All TMKs of a terminal's slot, oldest first.
pub(crate) fn slot(database: &Path, sn: &str, slot: u8) -> Vec<Held> {
    let connection = open(database);
    let mut rows =
        connection.prepare("SELECT state, hex(kcv) FROM tmks WHERE sn = ? AND slot = ? ORDER BY id").unwrap();
    let held = rows.query_map((sn, slot), |row| Ok(Held { state: row.get(0)?, kcv: row.get(1)? }));
    held.unwrap().map(Result::unwrap).collect()
}

/// The check value of the one key of a slot in this state.
#[track_caller]
pub(crate) fn kcv(database: &Path, sn: &str, index: u8, state: &str) -> Option<String> {
    let held = slot(database, sn, index);
    let mut found = held.iter().filter(|held| held.state == state).map(|held| held.kcv.clone());
    let first = found.next();
    assert_eq!(found.next(), None, "{held:?}");
    first
}

/// Whether the KMS has a TK of this terminal.
pub(crate) fn knows(database: &Path, sn: &str) -> bool {
    number(database, &format!("SELECT count(*) FROM terminals WHERE sn = '{sn}'")) > 0
}

/// One number.
pub(crate) fn number(database: &Path, sql: &str) -> i64 {
    open(database).query_row(sql, [], |row| row.get(0)).unwrap()
}

/// One text.
pub(crate) fn string(database: &Path, sql: &str) -> String {
    open(database).query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Several.
pub(crate) fn strings(database: &Path, sql: &str) -> Vec<String> {
    let connection = open(database);
    let mut rows = connection.prepare(sql).unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The kinds of all events, oldest first.
pub(crate) fn events(database: &Path) -> Vec<String> {
    strings(database, "SELECT kind FROM audit ORDER BY seq")
}

/// The statements of somebody who can write to the file.
pub(crate) fn tamper(database: &Path, sql: &str) {
    Connection::open(database).unwrap().execute_batch(sql).unwrap();
}

/// Every text in every table, with where it is.
pub(crate) fn texts(database: &Path) -> Vec<(String, String)> {
    let connection = open(database);
    let mut tables = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut texts = Vec::new();
    for table in tables {
        let mut rows = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns: Vec<_> = rows.column_names().into_iter().map(str::to_owned).collect();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for (at, column) in columns.iter().enumerate() {
                if let Ok(text) = row.get_ref(at).unwrap().as_str() {
                    texts.push((format!("{table}.{column}"), text.to_owned()));
                } else if let Ok(Ok(text)) = row.get_ref(at).unwrap().as_blob().map(std::str::from_utf8) {
                    texts.push((format!("{table}.{column}"), text.to_owned()));
                }
            }
        }
    }
    texts
}
