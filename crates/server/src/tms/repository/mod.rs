//! Where a vendor's files are: one interface for each vendor (1-systems.md E, step 6), configured and not compiled in.
//!
//! Three kinds: a folder, a repository of the vendor's read over HTTP, and a table of the database. Each is a
//! `source::Source` of blocks; what all need is done once, in `blocks`: a bounded cache, one request for
//! many terminals that want the same block, a bound on requests at once, a time-out, a rest after failures, and noticing
//! that a file has become another. So a slow or dead repository costs its own vendor's terminals an answer, and nobody
//! else anything.
//!
//! [`conformance`] is what every implementation must fulfil, a new one too.

mod blocks;
pub mod conformance;
mod database;
mod folder;
mod gate;
mod http;
mod path;
mod settings;
mod source;

#[cfg(test)]
mod tests;

use std::{future::Future, pin::Pin, sync::Arc};

pub use bytes::Bytes;
use store::Store;

pub use settings::{OpenError, Settings};

use blocks::Blocks;
use database::Database;
use folder::Folder;
use http::Http;

/// Most bytes that one read gives.
pub const MAX_READ: usize = 1024 * 1024;

/// A future of a repository's, whichever it is.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A vendor's files. A path is relative, its parts separated by `/`.
pub trait Repository: Send + Sync {
    /// Bytes `offset..offset + len` of a file; fewer where it ends before, and at most [`MAX_READ`].
    ///
    /// # Errors
    /// [`RepositoryError`].
    fn read(&self, path: &str, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, RepositoryError>>;

    /// A file's size in bytes.
    ///
    /// # Errors
    /// [`RepositoryError`].
    fn size(&self, path: &str) -> BoxFuture<'_, Result<u64, RepositoryError>>;
}

/// Why a repository gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryError {
    /// There is no such file, or the path is none that a repository has: with `..`, absolute, or over a symbolic link.
    #[error("the repository has no such file")]
    Missing,
    /// It cannot be reached, or does not answer as it should.
    #[error("the repository cannot be read: {why}")]
    Unavailable {
        /// What went wrong.
        why: String,
    },
    /// The file is another one than it was before. This is said once; later reads give the new one.
    #[error("the file has changed in the repository: publish it as a new version")]
    Changed,
    /// As many requests are under way as it may have at once.
    #[error("the repository has enough to do: try again later")]
    Busy,
}

impl RepositoryError {
    #[allow(clippy::needless_pass_by_value, reason = "so that `map_err` takes it")]
    pub(super) fn unavailable(why: impl ToString) -> Self {
        Self::Unavailable { why: why.to_string() }
    }
}

/// Opens a vendor's repository as its settings (JSON, [`Settings`]) say. Nothing is read yet. `vendor` and `store` are
/// for the repository in the database. Must be called inside a runtime.
///
/// # Errors
/// [`OpenError`].
pub fn open<S: Store>(settings: &str, vendor: &str, store: Arc<S>) -> Result<Arc<dyn Repository>, OpenError> {
    let settings = Settings::from_json(settings)?;
    let limits = settings.limits();
    Ok(match settings {
        Settings::Folder { path, .. } => Arc::new(Blocks::new(Folder::new(path), limits)),
        Settings::Http { url, ca, .. } => {
            Arc::new(Blocks::new(Http::new(&url, ca.as_deref(), limits.timeout)?, limits))
        }
        Settings::Database { .. } => Arc::new(Blocks::new(Database::new(store, vendor), limits)),
    })
}
