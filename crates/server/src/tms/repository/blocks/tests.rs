//! The cache in front of a source that counts and fails as it is told.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{super::source::Permit, *};

/// A file of as many blocks as there are at "a", "b", …; each block is full of its index.
struct Counting {
    asked: AtomicUsize,
    fail: AtomicUsize,
}

const BLOCKS: u64 = 8;

impl Source for Counting {
    fn fetch(
        &self,
        path: Arc<str>,
        index: u64,
        _permit: Permit,
    ) -> BoxFuture<'_, Result<Fetched, RepositoryError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            if self.fail.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
            {
                return Err(RepositoryError::unavailable("told to fail"));
            }
            let byte = u8::try_from(index).unwrap();
            let identity = Identity { size: BLOCKS * BLOCK_U64, mark: path };
            Ok(Fetched { identity, bytes: vec![byte; BLOCK].into() })
        })
    }
}

fn blocks(cache_blocks: usize) -> Arc<Blocks<Counting>> {
    let limits =
        Limits { requests_at_once: 4, timeout: Duration::from_secs(10), cache_bytes: cache_blocks * BLOCK };
    Arc::new(Blocks::new(Counting { asked: AtomicUsize::new(0), fail: AtomicUsize::new(0) }, limits))
}

impl Blocks<Counting> {
    fn asked(&self) -> usize {
        self.source.asked.swap(0, Ordering::SeqCst)
    }
}

async fn read(blocks: &Blocks<Counting>, path: &str, index: u64) -> Result<u8, RepositoryError> {
    let read = blocks.read(path, index * BLOCK_U64 + 5, 10).await?;
    assert_eq!(read.len(), 10);
    Ok(read[0])
}

#[tokio::test(start_paused = true)]
async fn a_block_is_fetched_once_for_all_who_want_it() {
    let blocks = blocks(8);
    let readers: Vec<_> = (0..100)
        .map(|_| {
            let blocks = Arc::clone(&blocks);
            tokio::spawn(async move { read(&blocks, "a", 0).await })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), Ok(0));
    }
    assert_eq!(blocks.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_one_for_all_who_wait_and_is_not_kept() {
    let blocks = blocks(8);
    blocks.source.fail.store(1, Ordering::SeqCst);
    let (one, two) = tokio::join!(read(&blocks, "a", 0), read(&blocks, "a", 0));
    assert!(one.is_err() && one == two, "{one:?} {two:?}");
    assert_eq!(blocks.asked(), 1);
    assert_eq!(read(&blocks, "a", 0).await, Ok(0));
    assert_eq!(blocks.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_goes_away_leaves_the_work_to_the_next() {
    let blocks = blocks(8);
    let gone = tokio::time::timeout(Duration::from_millis(500), read(&blocks, "a", 0)).await;
    assert!(gone.is_err());
    assert_eq!(read(&blocks, "a", 0).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn the_cache_keeps_its_bound_and_what_was_used_last() {
    let blocks = blocks(3);
    for index in [0, 1, 2, 0, 3] {
        assert_eq!(read(&blocks, "a", index).await, Ok(u8::try_from(index).unwrap()));
    }
    assert_eq!(blocks.asked(), 4);
    assert_eq!(blocks.kept().cells.len(), 3);
    for index in [0, 2, 3] {
        read(&blocks, "a", index).await.unwrap();
    }
    assert_eq!(blocks.asked(), 0, "block 1 had to go");
    read(&blocks, "a", 1).await.unwrap();
    assert_eq!(blocks.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_block_is_looked_at_again_after_a_minute() {
    let blocks = blocks(8);
    read(&blocks, "a", 0).await.unwrap();
    tokio::time::advance(FRESH - Duration::from_secs(2)).await; // the fetch took one
    read(&blocks, "a", 0).await.unwrap();
    assert_eq!(blocks.asked(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    read(&blocks, "a", 0).await.unwrap();
    assert_eq!(blocks.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn files_remembered_are_bounded() {
    let blocks = blocks(1);
    for number in 0..MAX_FILES + 10 {
        read(&blocks, &format!("file-{number}"), 0).await.unwrap();
    }
    assert!(blocks.kept().files.len() <= MAX_FILES);
}
