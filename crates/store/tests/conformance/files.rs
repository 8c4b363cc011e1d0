//! Files of the database repository.

use keyferry_store::{FileRecord, Store, StoreError, limits};

use super::estate::vendor;
use super::{event, events};

const CHUNK: usize = limits::FILE_CHUNK;

async fn put(store: &impl Store, index: u32, data: Vec<u8>) -> Result<(), StoreError> {
    store.put_file_chunk("ACME", "app.bin", index, data).await
}

async fn finish(store: &impl Store, size: usize) -> Result<(), StoreError> {
    store.finish_file("ACME", "app.bin", size as u64, [7; 32], event("file.put")).await
}

async fn with_vendor(store: &impl Store) {
    assert_eq!(put(store, 0, vec![1]).await, Err(StoreError::NoSuchVendor("ACME".into())));
    store.put_vendor(vendor("ACME"), event("vendor")).await.unwrap();
}

pub async fn a_file_is_there_when_it_is_finished(store: &impl Store) {
    with_vendor(store).await;
    // In any order, and a chunk again.
    put(store, 1, vec![2; 10]).await.unwrap();
    put(store, 0, vec![9; CHUNK]).await.unwrap();
    put(store, 0, vec![1; CHUNK]).await.unwrap();
    assert_eq!(store.file("ACME", "app.bin").await.unwrap(), None);
    assert_eq!(store.file_chunk("ACME", "app.bin", 0).await.unwrap(), None, "nothing of it before that");
    finish(store, CHUNK + 10).await.unwrap();
    let chunk = u32::try_from(CHUNK).unwrap();
    let record = FileRecord { size: CHUNK as u64 + 10, sha256: [7; 32], chunk };
    assert_eq!(store.file("ACME", "app.bin").await.unwrap(), Some(record));
    assert_eq!(store.file_chunk("ACME", "app.bin", 0).await.unwrap(), Some(vec![1; CHUNK]));
    assert_eq!(store.file_chunk("ACME", "app.bin", 1).await.unwrap(), Some(vec![2; 10]));
    assert_eq!(store.file_chunk("ACME", "app.bin", 2).await.unwrap(), None);
    assert_eq!(store.file("ZETA", "app.bin").await.unwrap(), None);
}

pub async fn a_finished_file_never_changes(store: &impl Store) {
    with_vendor(store).await;
    put(store, 0, vec![1; 10]).await.unwrap();
    finish(store, 10).await.unwrap();
    let there = Err(StoreError::AlreadyThere { what: "file", id: "app.bin".into() });
    assert_eq!(put(store, 0, vec![2; 10]).await, there);
    assert_eq!(put(store, 1, vec![2; 10]).await, there);
    assert_eq!(finish(store, 10).await, there);
    assert_eq!(store.file_chunk("ACME", "app.bin", 0).await.unwrap(), Some(vec![1; 10]));
}

pub async fn a_file_with_a_gap_is_not_finished(store: &impl Store) {
    with_vendor(store).await;
    let before = events(store).await;
    let unfinished = |size: usize| {
        let (path, size) = ("app.bin".to_owned(), size as u64);
        Err(StoreError::Unfinished { path, size })
    };
    assert_eq!(finish(store, 10).await, unfinished(10));
    put(store, 0, vec![1; CHUNK]).await.unwrap();
    put(store, 2, vec![1; 5]).await.unwrap();
    assert_eq!(finish(store, 2 * CHUNK + 5).await, unfinished(2 * CHUNK + 5));
    // The sum alone does not do: a chunk in the middle that is short.
    put(store, 1, vec![1; 5]).await.unwrap();
    put(store, 2, vec![1; CHUNK]).await.unwrap();
    assert_eq!(finish(store, 2 * CHUNK + 5).await, unfinished(2 * CHUNK + 5));
    put(store, 1, vec![1; CHUNK]).await.unwrap();
    assert_eq!(finish(store, 2 * CHUNK + 5).await, unfinished(2 * CHUNK + 5));
    assert_eq!(events(store).await, before);
    finish(store, 3 * CHUNK).await.unwrap();
}

/// What an upload that was given up left behind is no part of a shorter file.
pub async fn chunks_beyond_the_end_are_erased(store: &impl Store) {
    with_vendor(store).await;
    put(store, 0, vec![1; CHUNK]).await.unwrap();
    put(store, 1, vec![1; CHUNK]).await.unwrap();
    put(store, 0, vec![2; 3]).await.unwrap();
    finish(store, 3).await.unwrap();
    assert_eq!(store.file_chunk("ACME", "app.bin", 1).await.unwrap(), None);
    // A file of nothing is a file.
    store.finish_file("ACME", "empty", 0, [0; 32], event("file.put")).await.unwrap();
    assert_eq!(store.file("ACME", "empty").await.unwrap().map(|file| file.size), Some(0));
}

pub async fn a_file_has_its_limits(store: &impl Store) {
    with_vendor(store).await;
    let refused = put(store, 0, vec![0; CHUNK + 1]).await;
    assert_eq!(refused, Err(StoreError::TooLarge { what: "a file's chunk", limit: CHUNK }));
    let last = u32::try_from(limits::FILE / CHUNK as u64).unwrap() - 1;
    put(store, last, vec![1]).await.unwrap();
    assert!(matches!(put(store, last + 1, vec![1]).await, Err(StoreError::Invalid(_))));
    let beyond = store.finish_file("ACME", "app.bin", limits::FILE + 1, [7; 32], event("file.put")).await;
    assert!(matches!(beyond, Err(StoreError::Invalid(_))));
}
