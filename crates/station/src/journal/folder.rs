//! The journal's folder: one process at a time, files one after another.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Mutex,
};

use super::{
    Damage, Inner, Journal, JournalError,
    file::{FileHead, JournalFile},
    frame::Link,
    key::{KEY_FILE, Key, MIN_PASSPHRASE},
    mark::{Mark, MarkFile},
    state::State,
};
use crate::{
    Error, clock,
    files::{PART, make_folder},
};

const LOCK_FILE: &str = "lock";
const ENDING: &str = ".journal";
/// Digits of a file's number in its name.
const DIGITS: usize = 8;
/// A file of at least this many bytes, in which all is answered, is followed by a new one at the next opening.
const LONG: u64 = 64 * 1024 * 1024;

/// What checking all files found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Files read.
    pub files: usize,
    /// Records in them.
    pub records: u64,
    /// Bytes read.
    pub bytes: u64,
}

pub(super) fn create(folder: &Path, passphrase: &str) -> Result<Journal, Error> {
    let found = passphrase.chars().count();
    if found < MIN_PASSPHRASE {
        return Err(JournalError::ShortPassphrase { found, wanted: MIN_PASSPHRASE }.into());
    }
    make_folder(folder)?;
    let lock = lock(folder)?;
    if folder.join(KEY_FILE).exists() || !numbers(folder)?.is_empty() {
        return Err(JournalError::Exists { folder: folder.to_owned() }.into());
    }
    let key = Key::make()?;
    key.save(folder, passphrase)?;
    opened(folder, key, lock)
}

pub(super) fn open(folder: &Path, passphrase: &str) -> Result<Journal, Error> {
    if !folder.is_dir() || (!folder.join(KEY_FILE).exists() && numbers(folder)?.is_empty()) {
        return Err(JournalError::Missing { folder: folder.to_owned() }.into());
    }
    let lock = lock(folder)?;
    let key = Key::open(folder, passphrase)?;
    opened(folder, key, lock)
}

/// Locks the folder for this process, until the file is dropped.
pub(super) fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK_FILE);
    let mut options = File::options();
    let lock =
        options.create(true).append(true).mode(0o600).open(&path).map_err(Error::file("open", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse { folder: folder.to_owned() }.into()),
        Err(TryLockError::Error(error)) => Err(Error::file("lock", &path)(error)),
    }
}

pub(super) fn opened(folder: &Path, key: Key, lock: File) -> Result<Journal, Error> {
    let (mark_file, mark) = MarkFile::open(folder, &key)?;
    remove_parts(folder)?;
    let (number, mark) = match (numbers(folder)?.pop(), mark) {
        (Some(number), Some(mark)) => (number, mark),
        // A file's head names its journal, and what is wrong with that is said first.
        (Some(number), None) => {
            let file = JournalFile::open(&path(folder, number), &key, number)?;
            return Err(damaged(&file, Damage::Mark));
        }
        // New, or a crash while it was made: one that had records would have a mark that says so.
        (None, mark) if mark.is_none_or(|mark| mark.number == 0) => {
            mark_file.put(Mark::default())?;
            let first = Link { number: 1, before: Default::default() };
            FileHead::create(&path(folder, 1), &key, 1, clock::now(), first)?;
            (1, Mark::default())
        }
        (None, _) => return Err(gone(folder, 1)),
    };
    let mut file = JournalFile::open(&path(folder, number), &key, number)?;
    if mark.number.saturating_add(1) == file.next.number && mark.tag != file.head.after.before {
        return Err(damaged(&file, Damage::Head));
    }
    let mut state = State::default();
    file.read_all(&key, Some(mark), &mut |record, place| state.take(record, place))?;
    if file.next.number > file.head.after.number {
        mark_file.set(Mark { number: file.next.number - 1, tag: file.next.before });
    }
    let inner = Inner { file, mark: mark_file, state, changes: 0, broken: false };
    let journal = Journal {
        folder: folder.to_owned(),
        key,
        inner: Mutex::new(inner),
        uploading: Mutex::new(()),
        _lock: lock,
    };
    journal.begin_file(LONG)?;
    Ok(journal)
}

impl Journal {
    /// Begins a new file where all in this one is answered and it has at least so many bytes.
    ///
    /// Only while nothing is collected: answers go into the file that has their run.
    pub(super) fn begin_file(&self, long: u64) -> Result<(), Error> {
        let mut inner = self.lock();
        if !inner.state.is_done() || inner.file.length < long || inner.file.next == inner.file.head.first() {
            return Ok(());
        }
        let number = inner.file.head.file.saturating_add(1);
        let path = path(&self.folder, number);
        FileHead::create(&path, &self.key, number, clock::now(), inner.file.next)?;
        inner.file = JournalFile::open(&path, &self.key, number)?;
        inner.state = State::default();
        inner.changes += 1;
        Ok(())
    }

    /// Deletes files in which all is answered and that were followed by a new one before this time, unix seconds; gives
    /// how many. The newest stays, after a new one was begun where all in it is answered. To be called before
    /// anything is collected by this process.
    ///
    /// # Errors
    /// [`Error::File`], [`JournalError::Damaged`].
    pub fn forget_before(&self, time: i64) -> Result<usize, Error> {
        self.begin_file(0)?;
        let all = numbers(&self.folder)?;
        let mut forgotten = 0;
        for pair in all.windows(2) {
            let [old, next] = pair else { continue };
            let next = JournalFile::open(&path(&self.folder, *next), &self.key, *next)?;
            if next.head.made >= time {
                break;
            }
            let old = path(&self.folder, *old);
            fs::remove_file(&old).map_err(Error::file("delete", &old))?;
            forgotten += 1;
        }
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(Error::file("save the folder", &self.folder))?;
        Ok(forgotten)
    }

    /// Reads every record of every file that is there, and checks that one follows the other.
    ///
    /// # Errors
    /// [`JournalError::Damaged`]; [`Error::File`].
    pub fn check(&self) -> Result<Checked, Error> {
        let inner = self.lock();
        let mut checked = Checked { files: 0, records: 0, bytes: 0 };
        let mut before: Option<(u32, Link)> = None;
        for number in numbers(&self.folder)? {
            if before.is_some_and(|(last, _)| last.saturating_add(1) != number) {
                return Err(gone(&self.folder, number.saturating_sub(1)));
            }
            let mut file = JournalFile::open(&path(&self.folder, number), &self.key, number)?;
            if before.is_some_and(|(_, link)| link != file.head.after) {
                return Err(damaged(&file, Damage::Head));
            }
            file.check_all(&self.key, &mut |_, _| checked.records += 1)?;
            checked.files += 1;
            checked.bytes += file.length;
            before = Some((number, file.next));
        }
        drop(inner);
        Ok(checked)
    }
}

fn damaged(file: &JournalFile, damage: Damage) -> Error {
    JournalError::Damaged { path: file.path.clone(), record: 0, damage }.into()
}

fn gone(folder: &Path, number: u32) -> Error {
    JournalError::Damaged { path: path(folder, number), record: 0, damage: Damage::File }.into()
}

/// Where the file of this number is.
pub(super) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:0DIGITS$}{ENDING}"))
}

/// The numbers of the files, in order.
pub(super) fn numbers(folder: &Path) -> Result<Vec<u32>, Error> {
    let number = |name: &str| {
        let digits = name.strip_suffix(ENDING)?;
        let plain = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    };
    let mut numbers: Vec<u32> = names(folder)?.iter().filter_map(|name| number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let names = || -> std::io::Result<Vec<String>> {
        let entries = fs::read_dir(folder)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    names().map_err(Error::file("list", folder))
}

/// Files that a crash left before they had their name.
fn remove_parts(folder: &Path) -> Result<(), Error> {
    for name in names(folder)?.iter().filter(|name| name.ends_with(PART)) {
        let part = folder.join(name);
        fs::remove_file(&part).map_err(Error::file("remove the incomplete", &part))?;
    }
    Ok(())
}
