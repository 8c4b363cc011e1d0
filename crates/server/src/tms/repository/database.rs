//! Files in the database, cut into chunks that are this module's blocks.

use std::sync::Arc;

use bytes::Bytes;
use store::Store;

use super::{
    BoxFuture, RepositoryError,
    source::{BLOCK, Fetched, Identity, Permit, Source},
};

/// The files of one vendor.
pub(super) struct Database<S> {
    store: Arc<S>,
    vendor: String,
}

impl<S> Database<S> {
    pub(super) fn new(store: Arc<S>, vendor: &str) -> Self {
        Self { store, vendor: vendor.to_owned() }
    }
}

impl<S: Store> Source for Database<S> {
    fn fetch(
        &self,
        path: Arc<str>,
        index: u64,
        permit: Permit,
    ) -> BoxFuture<'_, Result<Fetched, RepositoryError>> {
        Box::pin(async move {
            let _permit = permit;
            let file = self.store.file(&self.vendor, &path).await.map_err(RepositoryError::unavailable)?;
            let file = file.ok_or(RepositoryError::Missing)?;
            if usize::try_from(file.chunk) != Ok(BLOCK) {
                return Err(RepositoryError::unavailable("its chunks have another size than this release's"));
            }
            let mark: String = file.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
            let identity = Identity { size: file.size, mark: mark.into() };
            let bytes = match u32::try_from(index) {
                Ok(index) if identity.block_len(index.into()) > 0 => {
                    let chunk = self.store.file_chunk(&self.vendor, &path, index).await;
                    let chunk = chunk.map_err(RepositoryError::unavailable)?;
                    chunk.ok_or_else(|| RepositoryError::unavailable("a chunk of the file is gone"))?.into()
                }
                _ => Bytes::new(),
            };
            Ok(Fetched { identity, bytes })
        })
    }
}
