//! The mark: how far the journal certainly was on disk. Without it, a file that lost its last records would look like one
//! that a crash cut.
//!
//! It is written after each record's fsync and not fsynced itself: after a power failure it may be older than the journal,
//! never newer. A mark that cannot be read is none.
//!
//! `record's number (8) ‖ its tag (16) ‖ first 8 bytes of their SHA-256`

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::frame::{TAG_LEN, Tag};
use crate::Error;

/// The file.
pub(super) const MARK_FILE: &str = "mark";
const SAID_LEN: usize = 8 + TAG_LEN;
const SUM_LEN: usize = 8;

/// The last record that certainly was on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) number: u64,
    pub(super) tag: Tag,
}

/// The open file.
pub(super) struct MarkFile(File);

impl MarkFile {
    /// Opens it, and reads what it says.
    pub(super) fn open(folder: &Path) -> Result<(MarkFile, Option<Mark>), Error> {
        let path = folder.join(MARK_FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("open", &path))?;
        let mut bytes = [0; SAID_LEN + SUM_LEN];
        let mark = file.read_exact_at(&mut bytes, 0).ok().and_then(|()| read(&bytes));
        Ok((MarkFile(file), mark))
    }

    /// Moves it. What goes wrong here costs the mark and nothing else.
    pub(super) fn set(&self, mark: Mark) {
        let mut bytes = Vec::with_capacity(SAID_LEN + SUM_LEN);
        bytes.extend(mark.number.to_le_bytes());
        bytes.extend(mark.tag);
        let sum = Sha256::digest(&bytes);
        bytes.extend(sum.get(..SUM_LEN).unwrap_or_default());
        let _ = self.0.write_all_at(&bytes, 0);
    }
}

fn read(bytes: &[u8; SAID_LEN + SUM_LEN]) -> Option<Mark> {
    let (said, sum) = bytes.split_at_checked(SAID_LEN)?;
    if Sha256::digest(said).get(..SUM_LEN)? != sum {
        return None;
    }
    let (number, tag) = said.split_first_chunk::<8>()?;
    Some(Mark { number: u64::from_le_bytes(*number), tag: tag.try_into().ok()? })
}
