//! Opening: whose file it is, who may read it, what is in it.

use super::*;
use crate::{TmsStore, Vendor};

#[tokio::test(flavor = "multi_thread")]
async fn the_file_and_its_side_files_are_private() {
    let bench = bench();
    bench.append(1).await;
    for end in ["", "-wal", "-shm"] {
        let path = PathBuf::from(format!("{}{end}", bench.path.display()));
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_cure() {
    let Bench { store, path, _folder } = bench();
    drop(store);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = SqliteStore::open(&path, SqliteOptions::default()).err().unwrap();
    assert_eq!(error, StoreError::Permissions { path: path.clone(), mode: 0o640 });
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    std::fs::write(&path, "Dear Sir or Madam, ".repeat(100)).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let refused = StoreError::NotAStore { path: path.clone() };
    assert_eq!(SqliteStore::open(&path, SqliteOptions::default()).err(), Some(refused.clone()));
    assert_eq!(verify_audit_file(&path), Err(refused));
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.sqlite");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = StoreError::NotAStore { path: path.clone() };
    assert_eq!(SqliteStore::open(&path, SqliteOptions::default()).err(), Some(refused));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_path_that_cannot_be_is_named() {
    let path = Path::new("/no such folder/store.sqlite");
    for error in [SqliteStore::open(path, SqliteOptions::default()).err(), verify_audit_file(path).err()] {
        assert!(matches!(&error, Some(StoreError::CannotOpen { path: p, .. }) if p == path), "{error:?}");
    }
}

#[test]
fn a_layout_from_the_future_is_refused() {
    let Bench { store, path, _folder } = bench();
    drop(store);
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
             VALUES (999, 'from_the_future', '2099-01-01T00:00:00Z', '1')",
        )
        .unwrap();
    let error = SqliteStore::open(&path, SqliteOptions::default()).err().unwrap();
    assert!(matches!(error, StoreError::UnknownLayout(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn opened_again_all_is_there() {
    let Bench { store, path, _folder } = bench();
    store.audit_append(event("login")).await.unwrap();
    let before = store.audit_verify().await.unwrap();
    drop(store);
    // Closed in good order: the write-ahead log is in the file.
    assert!(!PathBuf::from(format!("{}-wal", path.display())).exists());
    assert_eq!(verify_audit_file(&path).unwrap(), before);
    let again = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    assert_eq!(again.audit_append(event("login")).await, Ok(2));
}

/// Starts of several processes at once, as far as threads can play them.
#[test]
fn openers_that_race_for_a_new_file_all_succeed() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        std::thread::scope(|scope| {
            let open = || SqliteStore::open(&path, SqliteOptions::default()).err();
            let openers: Vec<_> = (0..6).map(|_| scope.spawn(open)).collect();
            for opener in openers {
                assert_eq!(opener.join().unwrap(), None);
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_someone_writes_to_is_opened_and_read() {
    let bench = bench();
    bench.put_acquirer("first").await.unwrap();
    let writing = bench.raw();
    writing.execute_batch("BEGIN IMMEDIATE").unwrap();
    let options = SqliteOptions { busy_wait: Duration::from_millis(50), ..SqliteOptions::default() };
    let second = SqliteStore::open(&bench.path, options).unwrap();
    assert_eq!(second.acquirers().await.unwrap().len(), 1);
    assert_eq!(second.audit_append(event("login")).await, Err(StoreError::Busy));
}

/// A server notices what the command line changes in a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn another_process_raises_the_estates_version() {
    let bench = bench();
    let before = bench.store.estate_version().await.unwrap();
    let other = SqliteStore::open(&bench.path, SqliteOptions::default()).unwrap();
    let vendor = Vendor {
        id: "ACME".into(),
        name: String::new(),
        models: vec![],
        roots: vec![],
        repository: "{}".into(),
        approval_required: false,
        operator_required: false,
        created_at: NOW,
    };
    other.put_vendor(vendor, event("vendor")).await.unwrap();
    assert!(bench.store.estate_version().await.unwrap() > before);
    assert_eq!(bench.store.vendors().await.unwrap().len(), 1);
}
