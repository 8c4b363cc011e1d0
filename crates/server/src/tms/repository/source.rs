//! What a kind of repository does: give one block of a file.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::{BoxFuture, RepositoryError};

/// Bytes of a block; the last of a file has fewer.
pub(super) const BLOCK: usize = store::limits::FILE_CHUNK;

/// [`BLOCK`] as files count.
pub(super) const BLOCK_U64: u64 = BLOCK as u64;

/// Leave to ask a repository, given back when it is dropped. Work that goes on after its time-out keeps it.
pub(super) type Permit = OwnedSemaphorePermit;

/// A kind of repository.
pub(super) trait Source: Send + Sync + 'static {
    /// Block `index` of the file at `path`, which was checked. Beyond the file's end: no bytes.
    fn fetch(
        &self,
        path: Arc<str>,
        index: u64,
        permit: Permit,
    ) -> BoxFuture<'_, Result<Fetched, RepositoryError>>;
}

/// A block and the file it is of.
#[derive(Debug, Clone)]
pub(super) struct Fetched {
    pub(super) identity: Identity,
    pub(super) bytes: Bytes,
}

/// How a file is told from another one at the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) size: u64,
    /// What the kind of repository has: entity tag, time of change, hash.
    pub(super) mark: Arc<str>,
}

impl Identity {
    /// Bytes of block `index`.
    pub(super) fn block_len(&self, index: u64) -> usize {
        let left = self.size.saturating_sub(index.saturating_mul(BLOCK_U64));
        usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK))
    }
}
