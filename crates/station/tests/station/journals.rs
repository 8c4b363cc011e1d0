//! Journals for tests.

use std::{path::Path, sync::LazyLock};

use keyferry_station::Journal;

pub(crate) const PASSPHRASE: &str = "a station passphrase";

/// The journal in this folder, made if need be.
pub(crate) fn journal_in(folder: &Path) -> Journal {
    if folder.join("key.sealed").exists() {
        Journal::open(folder, PASSPHRASE).unwrap()
    } else {
        Journal::create(folder, PASSPHRASE).unwrap()
    }
}

/// One for all tests that do not look into it: opening takes time by design.
pub(crate) fn journal() -> &'static Journal {
    static ANY: LazyLock<(tempfile::TempDir, Journal)> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal_in(folder.path());
        (folder, journal)
    });
    &ANY.1
}
