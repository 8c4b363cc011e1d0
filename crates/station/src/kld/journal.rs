//! The journal of a run: a line for each event, appended and on disk before what it says happens.
//!
//! A line is `hash JSON`, the hash being SHA-256 over the hash before it and the JSON, lower-case hex: what was changed,
//! left out or put in between shows when the journal is read. A last line without its end is one that a crash cut: what it
//! says has not happened, and it is taken away.

use std::{
    fs::{File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::KldError;
use crate::{Error, files, text};

/// The longest journal read, bytes: some kilobytes for each key of the most terminals of a run.
const MAX_JOURNAL: u64 = 512 * 1024 * 1024;
/// Hex digits of a line's hash.
const HASH: usize = 64;

/// A journal that is open for appending.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    length: u64,
    head: String,
}

impl Journal {
    /// Makes an empty one. The caller sees to it that its folder is on disk.
    pub(super) fn create(path: &Path) -> Result<Journal, KldError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(Error::file("make", path))?;
        Ok(Journal { path: path.to_owned(), file, length: 0, head: String::new() })
    }

    /// Reads one to its end, and gives what it says.
    pub(super) fn open<E: DeserializeOwned>(path: &Path) -> Result<(Journal, Vec<E>), KldError> {
        let bytes = files::read(path, MAX_JOURNAL)?;
        let damaged = |line: usize| KldError::JournalDamaged { path: path.to_owned(), line };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = std::str::from_utf8(bytes.get(..whole).unwrap_or_default()).map_err(|_| damaged(0))?;
        let mut head = String::new();
        let mut events = Vec::new();
        for (index, line) in lines.lines().enumerate() {
            let bad = || damaged(index + 1);
            let (hash, json) = line.split_once(' ').ok_or_else(bad)?;
            if hash.len() != HASH || hash != next(&head, json) {
                return Err(bad());
            }
            events.push(serde_json::from_str(json).map_err(|_| bad())?);
            head = hash.to_owned();
        }
        let file = OpenOptions::new().write(true).open(path).map_err(Error::file("open", path))?;
        let length = whole as u64;
        let mut journal = Journal { path: path.to_owned(), file, length, head };
        if length < bytes.len() as u64 {
            journal.cut().map_err(Error::file("repair", path))?;
        }
        Ok((journal, events))
    }

    /// Appends an event. It is on disk when this returns; after an error it is not there.
    pub(super) fn append<E: Serialize>(&mut self, event: &E) -> Result<(), KldError> {
        let json = serde_json::to_string(event)
            .map_err(|error| Error::file("write", &self.path)(std::io::Error::other(error.to_string())))?;
        let hash = next(&self.head, &json);
        let line = format!("{hash} {json}\n");
        let written = self
            .file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(line.as_bytes()))
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Should this fail too, the next line is still written over what is left of this one.
            let _ = self.cut();
            return Err(Error::file("write", &self.path)(error).into());
        }
        self.length += line.len() as u64;
        self.head = hash;
        Ok(())
    }

    /// Takes away what is behind the last whole line.
    fn cut(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.sync_all()
    }
}

fn next(head: &str, json: &str) -> String {
    text::hex(&Sha256::new().chain_update(head.as_bytes()).chain_update(json.as_bytes()).finalize())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn journal(events: &[u32]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::create(&path).unwrap();
        events.iter().for_each(|event| journal.append(event).unwrap());
        (folder, path)
    }

    fn read(path: &Path) -> Result<Vec<u32>, KldError> {
        Journal::open(path).map(|(_, events)| events)
    }

    #[test]
    fn what_was_appended_is_read_and_goes_on() {
        let (_folder, path) = journal(&[1, 2]);
        let (mut again, events) = Journal::open::<u32>(&path).unwrap();
        assert_eq!(events, [1, 2]);
        again.append(&3).unwrap();
        assert_eq!(read(&path).unwrap(), [1, 2, 3]);
        assert!(Journal::create(&path).is_err(), "a journal is never begun again");
    }

    #[test]
    fn a_line_that_a_crash_cut_is_as_if_it_never_was() {
        let (_folder, path) = journal(&[1, 2]);
        let whole = fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in first..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, events) = Journal::open::<u32>(&path).unwrap();
            assert_eq!(events, [1], "cut at {cut}");
            journal.append(&7).unwrap();
            assert_eq!(read(&path).unwrap(), [1, 7]);
        }
    }

    #[test]
    fn a_journal_that_was_changed_is_refused_with_its_line() {
        let (_folder, path) = journal(&[10, 20, 30]);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (changed, line) in [
            (text.replace(" 20", " 21"), 2),
            (format!("{}\n{}\n", lines[0], lines[2]), 2),
            (format!("{}\n{}\n{}\n", lines[1], lines[0], lines[2]), 1),
            (format!("{text}x\n"), 4),
        ] {
            fs::write(&path, changed).unwrap();
            let refused = read(&path);
            assert!(
                matches!(refused, Err(KldError::JournalDamaged { line: at, .. }) if at == line),
                "{refused:?}"
            );
        }
    }
}
