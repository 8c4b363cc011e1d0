//! The mark: how far the journal certainly was on disk. Without it, a file that lost its last records would look like one
//! that a crash cut.
//!
//! The first, of no record, is on disk before the first file has its name. From then on it is written in its place after each
//! record's fsync and not fsynced itself: after a power failure it may be older than the journal, never newer. A journal
//! without a mark, or with one that is not under its key, is damaged.
//!
//! `record's number (8) ‖ its tag (16) ‖ HMAC-SHA256 of both (32)`, under a key made of the journal's
//!
//! # What it cannot see
//!
//! Who does not know the passphrase can make no mark, but can keep a copy of one. An older mark together with the records
//! up to it, or any that a crash may have cut behind it, passes for the journal as it was then; so does the whole folder of
//! yesterday. What was collected since is then collected again, and the server, which remembers, answers 409.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use aws_lc_rs::hmac;

use super::{
    JournalError,
    frame::{TAG_LEN, Tag},
    key::Key,
};
use crate::Error;

/// The file.
pub(super) const MARK_FILE: &str = "mark";
const SAID_LEN: usize = 8 + TAG_LEN;
const MAC_LEN: usize = 32;

/// The last record that certainly was on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    /// 0 before the first.
    pub(super) number: u64,
    pub(super) tag: Tag,
}

/// The open file.
pub(super) struct MarkFile {
    file: File,
    path: PathBuf,
    key: hmac::Key,
}

impl MarkFile {
    /// Opens it, and reads what it says under this journal's key.
    pub(super) fn open(folder: &Path, key: &Key) -> Result<(MarkFile, Option<Mark>), Error> {
        let path = folder.join(MARK_FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("open", &path))?;
        let key = key.mark_key();
        let mut bytes = [0; SAID_LEN + MAC_LEN];
        let mark = file.read_exact_at(&mut bytes, 0).ok().and_then(|()| read(&bytes, &key));
        Ok((MarkFile { file, path, key }, mark))
    }

    /// Moves it. What goes wrong here leaves it older than it could be, and costs nothing else.
    pub(super) fn set(&self, mark: Mark) {
        let _ = self.file.write_all_at(&self.bytes(mark), 0);
    }

    /// Writes it; it is on disk when this returns.
    ///
    /// # Errors
    /// [`JournalError::Write`].
    pub(super) fn put(&self, mark: Mark) -> Result<(), Error> {
        let put = || {
            self.file.write_all_at(&self.bytes(mark), 0)?;
            self.file.sync_all()?;
            self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        put().map_err(|source| JournalError::Write { path: self.path.clone(), source }.into())
    }

    fn bytes(&self, mark: Mark) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SAID_LEN + MAC_LEN);
        bytes.extend(mark.number.to_le_bytes());
        bytes.extend(mark.tag);
        let mac = hmac::sign(&self.key, &bytes);
        bytes.extend(mac.as_ref());
        bytes
    }
}

fn read(bytes: &[u8; SAID_LEN + MAC_LEN], key: &hmac::Key) -> Option<Mark> {
    let (said, mac) = bytes.split_at_checked(SAID_LEN)?;
    hmac::verify(key, said, mac).ok()?;
    let (number, tag) = said.split_first_chunk::<8>()?;
    Some(Mark { number: u64::from_le_bytes(*number), tag: tag.try_into().ok()? })
}
