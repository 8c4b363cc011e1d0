//! Folder, database and settings.

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc};

use serde_json::json;
use sha2::{Digest, Sha256};
use store::{Event, SqliteStore, TmsStore, Vendor, limits::FILE_CHUNK};

use super::{
    super::{OpenError, Repository, RepositoryError, conformance, open},
    PATH, content, known, opened, store,
};

fn folder_with(content: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("files").join(PATH);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, content).unwrap();
    fs::write(folder.path().join("secret"), "secret").unwrap();
    folder
}

fn repository(folder: &Path) -> Arc<dyn Repository> {
    opened(&json!({ "kind": "folder", "path": folder.join("files") })).unwrap()
}

#[tokio::test]
async fn a_folder_fulfils_the_conformance_suite() {
    let content = content();
    let folder = folder_with(&content);
    conformance::run(&*repository(folder.path()), known(&content)).await.unwrap();
}

#[tokio::test]
async fn a_folder_is_left_over_no_symbolic_link() {
    let folder = folder_with(b"content");
    let files = folder.path().join("files");
    symlink(folder.path().join("secret"), files.join("out")).unwrap();
    symlink(folder.path(), files.join("up")).unwrap();
    symlink(files.join(PATH), files.join("inside")).unwrap();
    let repository = repository(folder.path());
    for path in ["out", "up/secret", "inside"] {
        assert_eq!(repository.read(path, 0, 10).await, Err(RepositoryError::Missing), "{path}");
        assert_eq!(repository.size(path).await, Err(RepositoryError::Missing), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_plain_file_is_none() {
    let folder = folder_with(b"content");
    let pipe = folder.path().join("files/pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    let repository = repository(folder.path());
    for path in ["pay", "pay/1.2.0", "pipe"] {
        assert_eq!(repository.read(path, 0, 10).await, Err(RepositoryError::Missing), "{path}");
    }
}

#[tokio::test]
async fn a_file_that_was_replaced_is_noticed_once() {
    let content = content();
    let folder = folder_with(&content);
    let (repository, file) = (repository(folder.path()), folder.path().join("files").join(PATH));
    assert_eq!(repository.read(PATH, 0, 4).await.unwrap(), content[..4]);
    let new = folder.path().join("new");
    fs::write(&new, vec![7; content.len()]).unwrap();
    fs::rename(&new, &file).unwrap();
    assert_eq!(repository.read(PATH, 300_000, 4).await, Err(RepositoryError::Changed));
    assert_eq!(repository.read(PATH, 0, 4).await.unwrap(), [7; 4][..]);
    fs::remove_file(&file).unwrap();
    assert_eq!(repository.read(PATH, 600_000, 4).await, Err(RepositoryError::Missing));
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_unavailable() {
    let gone = opened(&json!({ "kind": "folder", "path": "/nowhere/at/all" })).unwrap();
    let read = gone.read(PATH, 0, 1).await;
    assert!(matches!(read, Err(RepositoryError::Unavailable { .. })), "{read:?}");
}

fn event(kind: &'static str) -> Event {
    Event { at: 0, kind: kind.into(), actor: "test".to_owned(), subject: PATH.to_owned(), detail: json!({}) }
}

async fn put(store: &SqliteStore, vendor: &str, content: &[u8]) {
    let acme = Vendor {
        id: vendor.to_owned(),
        name: vendor.to_owned(),
        models: Vec::new(),
        roots: vec![vec![0x30, 0]],
        repository: r#"{"kind":"database"}"#.to_owned(),
        approval_required: false,
        operator_required: false,
        created_at: 0,
    };
    store.put_vendor(acme, event("tms.vendor-set")).await.unwrap();
    for (index, chunk) in (0..).zip(content.chunks(FILE_CHUNK)) {
        store.put_file_chunk(vendor, PATH, index, chunk.to_vec()).await.unwrap();
    }
    let sha256 = Sha256::digest(content).into();
    let size = u64::try_from(content.len()).unwrap();
    store.finish_file(vendor, PATH, size, sha256, event("tms.file-put")).await.unwrap();
}

#[tokio::test]
async fn a_database_fulfils_the_conformance_suite() {
    let content = content();
    let (_folder, store) = store();
    put(&store, "ACME", &content).await;
    let repository = open(r#"{"kind":"database"}"#, "ACME", Arc::clone(&store)).unwrap();
    conformance::run(&*repository, known(&content)).await.unwrap();
}

#[tokio::test]
async fn a_vendor_has_its_own_files_in_the_database() {
    let (_folder, store) = store();
    put(&store, "ACME", b"ours").await;
    let other = open(r#"{"kind":"database"}"#, "OTHER", Arc::clone(&store)).unwrap();
    assert_eq!(other.read(PATH, 0, 10).await, Err(RepositoryError::Missing));
}

#[tokio::test]
async fn a_file_that_is_not_finished_is_not_there() {
    let (_folder, store) = store();
    put(&store, "ACME", b"finished").await;
    store.put_file_chunk("ACME", "half", 0, b"half".to_vec()).await.unwrap();
    let repository = open(r#"{"kind":"database"}"#, "ACME", Arc::clone(&store)).unwrap();
    assert_eq!(repository.read("half", 0, 10).await, Err(RepositoryError::Missing));
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_refused_by_name() {
    for (settings, name) in [
        (json!({ "kind": "folder", "path": "relative" }), "path"),
        (json!({ "kind": "folder", "path": "/a", "requests_at_once": 0 }), "requests_at_once"),
        (json!({ "kind": "folder", "path": "/a", "requests_at_once": 65 }), "requests_at_once"),
        (json!({ "kind": "database", "timeout_seconds": 0 }), "timeout_seconds"),
        (json!({ "kind": "database", "timeout_seconds": 26 }), "timeout_seconds"),
        (json!({ "kind": "http", "url": "http://h", "cache_mib": 0 }), "cache_mib"),
        (json!({ "kind": "http", "url": "http://h", "cache_mib": 4097 }), "cache_mib"),
        (json!({ "kind": "http", "url": "ftp://h" }), "url"),
        (json!({ "kind": "http", "url": "https://h" }), "ca"),
        (json!({ "kind": "http", "url": "https://h", "ca": "/nowhere/ca.pem" }), "ca"),
        (json!({ "kind": "http", "url": "https://h", "ca": "/dev/null" }), "ca"),
    ] {
        let refused = opened(&settings).err();
        assert!(
            matches!(&refused, Some(OpenError::Setting { name: found, .. }) if *found == name),
            "{settings}: {refused:?}"
        );
    }
    for settings in [
        json!({}),
        json!({ "kind": "ftp" }),
        json!({ "kind": "folder" }),
        json!({ "kind": "database", "x": 1 }),
    ] {
        assert!(matches!(opened(&settings), Err(OpenError::Settings(_))), "{settings}");
    }
}
