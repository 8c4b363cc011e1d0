//! What every repository has in front of it: blocks, kept for a while and fetched once for all who want them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{sync::OnceCell, time::Instant};

use super::{
    BoxFuture, MAX_READ, Repository, RepositoryError,
    gate::Gate,
    path,
    settings::Limits,
    source::{BLOCK, BLOCK_U64, Fetched, Identity, Source},
};

/// How long a block is given without looking whether the file has changed.
const FRESH: Duration = Duration::from_secs(60);
/// Most files whose identity is remembered.
const MAX_FILES: usize = 4096;

/// A repository over a source of blocks.
pub(super) struct Blocks<S> {
    source: S,
    gate: Gate,
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    files: HashMap<Arc<str>, Identity>,
    cells: HashMap<(Arc<str>, u64), Cell>,
    /// Counts uses, so that the block used longest ago can go.
    clock: u64,
}

struct Cell {
    block: Arc<OnceCell<Result<Fetched, RepositoryError>>>,
    since: Instant,
    used: u64,
}

impl<S: Source> Blocks<S> {
    pub(super) fn new(source: S, limits: Limits) -> Self {
        let gate = Gate::new(limits.requests_at_once, limits.timeout);
        Self { source, gate, most: (limits.cache_bytes / BLOCK).max(1), kept: Mutex::default() }
    }

    async fn read_blocks(&self, path: &str, offset: u64, len: usize) -> Result<Bytes, RepositoryError> {
        path::parts(path)?;
        let path: Arc<str> = path.into();
        if offset >= self.known_size(&path).await? {
            return Ok(Bytes::new()); // a range behind the end is asked of nobody
        }
        let (mut at, mut left, mut pieces) = (offset, len.min(MAX_READ), BytesMut::new());
        let mut first: Option<Fetched> = None;
        loop {
            let block = self.block(&path, at / BLOCK_U64).await?;
            if first.as_ref().is_some_and(|first| first.identity != block.identity) {
                return Err(RepositoryError::Changed);
            }
            let from = usize::try_from(at % BLOCK_U64).map_err(RepositoryError::unavailable)?;
            let to = from.saturating_add(left).min(block.bytes.len());
            let piece = if from < to { block.bytes.slice(from..to) } else { Bytes::new() };
            left -= piece.len();
            at = at.saturating_add(u64::try_from(piece.len()).map_err(RepositoryError::unavailable)?);
            let ended = left == 0 || piece.is_empty() || at >= block.identity.size;
            if ended && first.is_none() {
                return Ok(piece); // all in one block: nothing is copied
            }
            pieces.extend_from_slice(&piece);
            if ended {
                return Ok(pieces.freeze());
            }
            first.get_or_insert(block);
        }
    }

    /// The size as it was when the file was last looked at.
    async fn known_size(&self, path: &Arc<str>) -> Result<u64, RepositoryError> {
        let known = self.kept().files.get(path).map(|identity| identity.size);
        match known {
            Some(size) => Ok(size),
            None => Ok(self.block(path, 0).await?.identity.size),
        }
    }

    async fn block(&self, path: &Arc<str>, index: u64) -> Result<Fetched, RepositoryError> {
        let cell = self.cell(path, index);
        // Those who wait for the same block share what comes of it, a failure too: one time-out for all.
        let fetched = cell.get_or_init(|| self.fetch(path, index)).await.clone();
        if fetched.is_err() {
            self.kept().cells.retain(|_, kept| !Arc::ptr_eq(&kept.block, &cell)); // who comes later tries again
        }
        fetched
    }

    async fn fetch(&self, path: &Arc<str>, index: u64) -> Result<Fetched, RepositoryError> {
        let fetched = self.gate.run(|permit| self.source.fetch(Arc::clone(path), index, permit)).await?;
        self.same_file(path, &fetched.identity)?;
        let (found, wanted) = (fetched.bytes.len(), fetched.identity.block_len(index));
        if found != wanted {
            let why = format_args!("{found} bytes came where the file has {wanted}");
            return Err(RepositoryError::unavailable(why));
        }
        Ok(fetched)
    }

    /// The place of a block, which others may be filling.
    fn cell(&self, path: &Arc<str>, index: u64) -> Arc<OnceCell<Result<Fetched, RepositoryError>>> {
        let mut kept = self.kept();
        kept.clock += 1;
        let (used, now, key) = (kept.clock, Instant::now(), (Arc::clone(path), index));
        if let Some(cell) = kept.cells.get_mut(&key)
            && now.duration_since(cell.since) < FRESH
        {
            cell.used = used;
            return Arc::clone(&cell.block);
        }
        while kept.cells.len() >= self.most {
            let oldest = kept.cells.iter().min_by_key(|(_, cell)| cell.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            kept.cells.remove(&oldest); // those who read it have it still
        }
        let block = Arc::new(OnceCell::new());
        kept.cells.insert(key, Cell { block: Arc::clone(&block), since: now, used });
        block
    }

    /// Notices that a file is another one than before, once: everything of the old one is forgotten.
    fn same_file(&self, path: &Arc<str>, identity: &Identity) -> Result<(), RepositoryError> {
        let mut kept = self.kept();
        match kept.files.get(path) {
            Some(known) if known == identity => Ok(()),
            Some(_) => {
                kept.files.remove(path);
                kept.cells.retain(|(of, _), _| of != path);
                Err(RepositoryError::Changed)
            }
            None => {
                if kept.files.len() >= MAX_FILES {
                    kept.files.clear();
                    kept.cells.clear();
                }
                kept.files.insert(Arc::clone(path), identity.clone());
                Ok(())
            }
        }
    }

    /// A panic elsewhere while the lock was held leaves a value that is still whole.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Source> Repository for Blocks<S> {
    fn read(&self, path: &str, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, RepositoryError>> {
        let path = path.to_owned();
        Box::pin(async move { self.read_blocks(&path, offset, len).await })
    }

    fn size(&self, path: &str) -> BoxFuture<'_, Result<u64, RepositoryError>> {
        let path = path.to_owned();
        Box::pin(async move {
            path::parts(&path)?;
            Ok(self.block(&path.into(), 0).await?.identity.size)
        })
    }
}

#[cfg(test)]
mod tests;
