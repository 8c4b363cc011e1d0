//! Opening the file: permissions, settings, migrations.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use sha2::{Digest, Sha256};

use super::error::{Db, name};
use crate::StoreError;

/// "KFER": SQLite's application id, so that a wrong file is told from a store.
const APPLICATION_ID: i32 = 0x4B46_4552;

/// Statements kept prepared on each connection: more than there are.
const STATEMENTS: usize = 192;

/// Pages in the write-ahead log before they go to the file proper (4 KiB each): fewer, longer pauses than
/// SQLite's 1 000.
const CHECKPOINT_PAGES: i64 = 4_000;

/// Pages that the writer keeps in memory: negative, so SQLite takes it as KiB.
const WRITER_CACHE_KIB: i64 = -32_768;

/// The same for each reader.
const READER_CACHE_KIB: i64 = -16_384;

/// How long a reader waits for a lock. WAL readers only meet one while another process recovers the file.
const READER_WAIT: Duration = Duration::from_millis(250);

/// How long to leave another program that starts at the same time before looking again.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(20);

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Opens the file for writing, makes it if there is none, and brings it to this version's layout.
///
/// Two programs that start at once may get into each other's way here (both find the layout old; one changes the
/// journal while the other looks), so what fails for such a reason is tried again for as long as `wait`.
pub(super) fn writer(path: &Path, wait: Duration) -> Result<Connection, StoreError> {
    create_private(path)?;
    let started = Instant::now();
    loop {
        match prepare(path, wait) {
            Err(StoreError::Busy | StoreError::Rule(_) | StoreError::Database(_))
                if started.elapsed() < wait =>
            {
                std::thread::sleep(BETWEEN_ATTEMPTS);
            }
            done => return done,
        }
    }
}

fn prepare(path: &Path, wait: Duration) -> Result<Connection, StoreError> {
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, wait)?;
    // In this order: a store that another program is making has its id before it has a layout.
    let layout: i64 = first_read(&connection, path, "PRAGMA schema_version")?;
    let application_id: i32 = first_read(&connection, path, "PRAGMA application_id")?;
    let empty = layout == 0 && application_id == 0;
    if !empty && application_id != APPLICATION_ID {
        return Err(StoreError::NotAStore { path: path.to_owned() });
    }
    set(&connection, "journal_mode", "WAL")?;
    // FULL: a commit is on the disk when it returns; in WAL mode NORMAL would lose the last ones at a power cut.
    set(&connection, "synchronous", "FULL")?;
    set(&connection, "foreign_keys", "ON")?;
    set(&connection, "recursive_triggers", "ON")?;
    // What a savepoint may have to undo stays in memory: no temporary files, and none left behind.
    set(&connection, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB).db()?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).db()?;
    if empty {
        connection.pragma_update(None, "application_id", APPLICATION_ID).db()?;
    }
    give_sha256(&connection)?;
    embedded::migrations::runner()
        .set_grouped(true)
        .set_abort_divergent(true)
        .set_abort_missing(true)
        .run(&mut connection)
        .map_err(|e| migration_error(&e))?;
    check_audit_end(&connection)?;
    Ok(connection)
}

/// Gives SQL the SHA-256 of a BLOB, for migrations only: no trigger or index may need it, or other programs could not
/// read the file.
fn give_sha256(connection: &Connection) -> Result<(), StoreError> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection
        .create_scalar_function("keyferry_sha256", 1, flags | FunctionFlags::SQLITE_DIRECTONLY, |context| {
            let bytes = context.get_raw(0).as_blob()?;
            Ok(Sha256::digest(bytes).to_vec())
        })
        .db()
}

/// Opens a store that is there for reading only. Never migrates, never writes.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_WAIT)?;
    let application_id: i32 = first_read(&connection, path, "PRAGMA application_id")?;
    if application_id != APPLICATION_ID {
        return Err(StoreError::NotAStore { path: path.to_owned() });
    }
    connection.pragma_update(None, "cache_size", READER_CACHE_KIB).db()?;
    Ok(connection)
}

fn connect(path: &Path, mode: OpenFlags, wait: Duration) -> Result<Connection, StoreError> {
    // Each connection is used by one thread at a time, so SQLite's own mutexes would be for nothing.
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|e| StoreError::CannotOpen { path: path.to_owned(), why: e.to_string() })?;
    connection.busy_timeout(wait).db()?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Plans that do not look at bound values. Without this SQLite prepares a statement with `LIMIT ?` anew for each
    // run, which costs several times the run itself.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).db()?;
    Ok(connection)
}

/// The first read of a file is where SQLite notices that it is none of its own, or cannot be opened after all.
fn first_read<T: rusqlite::types::FromSql>(
    connection: &Connection,
    path: &Path,
    pragma: &str,
) -> Result<T, StoreError> {
    connection.query_row(pragma, [], |row| row.get(0)).map_err(|e| match e.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::NotAStore { path: path.to_owned() },
        Some(ErrorCode::CannotOpen) => StoreError::CannotOpen { path: path.to_owned(), why: e.to_string() },
        _ => name(&e),
    })
}

/// Makes the file with mode 0600 before SQLite sees it; SQLite gives its side files the same mode.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let cannot = |e: std::io::Error| StoreError::CannotOpen { path: path.to_owned(), why: e.to_string() };
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {
            // The name must survive a power cut as well as the content.
            let parent = match path.parent() {
                Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
                _ => PathBuf::from("."),
            };
            File::open(parent).and_then(|folder| folder.sync_all()).map_err(cannot)
        }
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            let mode = std::fs::metadata(path).map_err(cannot)?.permissions().mode() & 0o777;
            if mode & 0o077 == 0 {
                Ok(())
            } else {
                Err(StoreError::Permissions { path: path.to_owned(), mode })
            }
        }
        Err(e) => Err(cannot(e)),
    }
}

/// Some pragmas answer with a row, some with none.
fn set(connection: &Connection, pragma: &str, value: &str) -> Result<(), StoreError> {
    connection.pragma_update_and_check(None, pragma, value, |_| Ok(())).or_else(|e| match e {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        other => Err(name(&other)),
    })
}

/// A store whose audit lost its tail must not grow on as if nothing had been.
fn check_audit_end(connection: &Connection) -> Result<(), StoreError> {
    let sql = "SELECT (SELECT seq FROM audit_end), (SELECT coalesce(max(seq), 0) FROM audit)";
    let (end, last): (Option<i64>, i64) =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).db()?;
    if end == Some(last) {
        Ok(())
    } else {
        Err(StoreError::Damaged(
            "the audit does not end where its record says; run: keyferry audit verify".into(),
        ))
    }
}

fn migration_error(error: &refinery::Error) -> StoreError {
    use std::error::Error;
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(sqlite) = cause.downcast_ref::<rusqlite::Error>() {
            return name(sqlite);
        }
        source = cause.source();
    }
    StoreError::UnknownLayout(error.to_string())
}

/// Makes a file as an earlier version of this program left it, for the test of migrations.
#[cfg(test)]
pub(super) fn earlier_layout(path: &Path, version: i32) -> Connection {
    create_private(path).unwrap();
    let mut connection = Connection::open(path).unwrap();
    set(&connection, "journal_mode", "WAL").unwrap();
    set(&connection, "foreign_keys", "ON").unwrap();
    connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    give_sha256(&connection).unwrap();
    embedded::migrations::runner()
        .set_target(refinery::Target::Version(version))
        .run(&mut connection)
        .unwrap();
    connection
}
