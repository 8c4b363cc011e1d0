//! Where a vendor's files are: one interface for each vendor (1-systems.md E, step 6), configured and not compiled in.

mod folder;

use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc};

pub use bytes::Bytes;
use serde::Deserialize;
use store::Store;

/// A future of a repository's, whichever it is.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A vendor's files.
pub trait Repository: Send + Sync {
    /// Bytes `offset..offset + len` of a file; fewer where it ends before.
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
    /// There is no such file.
    #[error("the repository has no such file")]
    Missing,
    /// It cannot be reached, or does not answer as it should.
    #[error("the repository cannot be read: {why}")]
    Unavailable {
        /// What went wrong.
        why: String,
    },
    /// The file is another one than it was before.
    #[error("the file has changed in the repository: publish it as a new version")]
    Changed,
    /// As many requests are under way as it may have at once.
    #[error("the repository has enough to do: try again later")]
    Busy,
}

/// Why a vendor's repository cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its settings are not what they should be.
    #[error("the vendor's repository settings are wrong: {0}")]
    Settings(#[from] serde_json::Error),
}

/// How a vendor's repository is set.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Settings {
    /// Files in a folder of this machine.
    Folder {
        /// The folder.
        path: PathBuf,
    },
}

/// Opens a vendor's repository as its settings (JSON) say.
///
/// # Errors
/// [`OpenError`].
pub fn open<S: Store>(
    settings: &str,
    _vendor: &str,
    _store: Arc<S>,
) -> Result<Arc<dyn Repository>, OpenError> {
    Ok(match serde_json::from_str(settings)? {
        Settings::Folder { path } => Arc::new(folder::Folder::new(path)),
    })
}
