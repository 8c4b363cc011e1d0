//! Files in a folder of this machine.

use std::{fs::File, io, os::unix::fs::FileExt, path::PathBuf};

use super::{BoxFuture, Bytes, Repository, RepositoryError};

/// A folder.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn file(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }
}

impl Repository for Folder {
    fn read(&self, path: &str, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, RepositoryError>> {
        let path = self.file(path);
        Box::pin(blocking(move || {
            let file = File::open(path)?;
            let (mut bytes, mut filled) = (vec![0; len], 0);
            while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                let at = offset.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
                match file.read_at(rest, at)? {
                    0 => break,
                    read => filled += read,
                }
            }
            bytes.truncate(filled);
            Ok(bytes.into())
        }))
    }

    fn size(&self, path: &str) -> BoxFuture<'_, Result<u64, RepositoryError>> {
        let path = self.file(path);
        Box::pin(blocking(move || Ok(path.metadata()?.len())))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, RepositoryError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other).flatten().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => RepositoryError::Missing,
        _ => RepositoryError::Unavailable { why: error.to_string() },
    })
}
