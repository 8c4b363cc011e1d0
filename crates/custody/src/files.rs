//! Files that are whole or not there: written beside, synchronised, then moved into place.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Who may read a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    /// The owner alone (0600).
    Secret,
    /// Everyone (0644).
    Public,
}

impl Mode {
    fn bits(self) -> u32 {
        match self {
            Self::Secret => 0o600,
            Self::Public => 0o644,
        }
    }
}

/// Writes a file that must not exist yet.
pub(crate) fn create(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), Error> {
    let part = write_beside(path, bytes, mode)?;
    // A hard link, unlike a rename, refuses to replace what is there.
    let placed = match fs::hard_link(&part, path) {
        Ok(()) => fs::remove_file(&part),
        // Memory sticks are often formatted without hard links: take the name first, then fill it.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            OpenOptions::new().write(true).create_new(true).open(path).and_then(|_| fs::rename(&part, path))
        }
        Err(error) => Err(error),
    };
    match placed {
        Ok(()) => sync_parent(path),
        Err(error) => {
            // The error of placing is the one that tells.
            let _ = fs::remove_file(&part);
            Err(match error.kind() {
                ErrorKind::AlreadyExists => Error::Exists { path: path.to_owned() },
                _ => Error::io("create", path)(error),
            })
        }
    }
}

/// Writes a file in place of the one that may be there.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), Error> {
    let part = write_beside(path, bytes, mode)?;
    fs::rename(&part, path).map_err(Error::io("replace", path))?;
    sync_parent(path)
}

/// Appends to a file that exists, at `at` bytes from its start (a torn end beyond that is cut off), and waits
/// until it is on disk.
pub(crate) fn append_at(path: &Path, at: u64, bytes: &[u8]) -> Result<(), Error> {
    let mut file = OpenOptions::new().append(true).open(path).map_err(Error::io("open", path))?;
    file.set_len(at).map_err(Error::io("shorten", path))?;
    file.write_all(bytes).map_err(Error::io("append to", path))?;
    file.sync_all().map_err(Error::io("write to disk", path))
}

/// Reads a text file of at most `max` bytes.
pub(crate) fn read(path: &Path, max: u64) -> Result<String, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut text = String::new();
    let len = file.take(max + 1).read_to_string(&mut text).map_err(Error::io("read", path))?;
    if u64::try_from(len).unwrap_or(u64::MAX) > max {
        return Err(Error::TooLong { path: path.to_owned(), max });
    }
    Ok(text)
}

/// Waits until the entry of `path` in its folder is on disk.
pub(crate) fn sync_parent(path: &Path) -> Result<(), Error> {
    let parent = parent(path);
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(Error::io("write to disk", parent))
}

/// The folder that holds `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A name beside `path` that nobody else has: `.<name>.<random>`.
pub(crate) fn beside(path: &Path) -> Result<PathBuf, Error> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| Error::Crypto("the operating system gave no random numbers"))?;
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{:016x}", u64::from_be_bytes(random)));
    Ok(parent(path).join(name))
}

fn write_beside(path: &Path, bytes: &[u8], mode: Mode) -> Result<PathBuf, Error> {
    let part = beside(path)?;
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode.bits()).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    if let Err(error) = write() {
        // The error of the write is the one that tells.
        let _ = fs::remove_file(&part);
        return Err(Error::io("write", path)(error));
    }
    Ok(part)
}

/// Now, in unix seconds.
pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
