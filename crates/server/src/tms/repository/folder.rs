//! Files in a folder of this machine.

use std::{
    ffi::CString,
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
    sync::Arc,
};

use rustix::fs::{Mode, OFlags, openat};

use super::{
    BoxFuture, RepositoryError, path,
    source::{BLOCK_U64, Fetched, Identity, Permit, Source},
};

/// A folder.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Source for Folder {
    fn fetch(
        &self,
        path: Arc<str>,
        index: u64,
        permit: Permit,
    ) -> BoxFuture<'_, Result<Fetched, RepositoryError>> {
        let root = self.path.clone();
        Box::pin(async move {
            let work = move || {
                let _permit = permit; // a dead network file system holds it as long as it is dead
                read_block(&open_beneath(root, &path)?, index)
            };
            tokio::task::spawn_blocking(work).await.map_err(RepositoryError::unavailable)?
        })
    }
}

/// Opens a file below `root`, part by part, and over no symbolic link: what the folder has is what lies in it.
fn open_beneath(root: PathBuf, path: &str) -> Result<File, RepositoryError> {
    let below = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let parts = path::parts(path)?;
    let (name, folders) = parts.split_last().ok_or(RepositoryError::Missing)?;
    let mut at = File::open(root)
        .map_err(|error| RepositoryError::unavailable(format_args!("its folder: {error}")))?;
    for folder in folders {
        at = openat(&at, c(folder)?, below | OFlags::DIRECTORY, Mode::empty()).map_err(missing)?.into();
    }
    // Not waiting: what is no plain file (a pipe) must not hold up this thread.
    let file = openat(&at, c(name)?, below | OFlags::NONBLOCK, Mode::empty()).map_err(missing)?;
    Ok(file.into())
}

fn read_block(file: &File, index: u64) -> Result<Fetched, RepositoryError> {
    let before = identity(file)?;
    let mut bytes = vec![0; before.block_len(index)];
    if !bytes.is_empty() {
        match file.read_exact_at(&mut bytes, index.saturating_mul(BLOCK_U64)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(RepositoryError::Changed);
            }
            Err(error) => return Err(RepositoryError::unavailable(error)),
        }
    }
    // Written while it was read: neither the old file nor the new one.
    if identity(file)? != before {
        return Err(RepositoryError::Changed);
    }
    Ok(Fetched { identity: before, bytes: bytes.into() })
}

fn identity(file: &File) -> Result<Identity, RepositoryError> {
    let metadata = file.metadata().map_err(RepositoryError::unavailable)?;
    if !metadata.is_file() {
        return Err(RepositoryError::Missing);
    }
    let mark =
        format!("{}:{} {}.{:09}", metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec());
    Ok(Identity { size: metadata.len(), mark: mark.into() })
}

fn c(part: &str) -> Result<CString, RepositoryError> {
    CString::new(part).map_err(|_| RepositoryError::Missing)
}

/// No such file, or something that is none: a symbolic link, a file where a folder should be.
fn missing(error: rustix::io::Errno) -> RepositoryError {
    use rustix::io::Errno;
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO | Errno::NAMETOOLONG => {
            RepositoryError::Missing
        }
        error => RepositoryError::unavailable(error),
    }
}
