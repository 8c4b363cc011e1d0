//! Storage in a folder: one sealed file for each record, the battery key in a file of its own.
//!
//! ```text
//! <folder>/            0700
//!     lock             held while a process uses the terminal
//!     battery.key      0600, 32 bytes: stands for battery-backed memory; deleting it wipes the terminal
//!     pad.sealed       0600, AES-256-GCM under the battery key
//!     device.sealed    0600, likewise
//! ```
//!
//! A record is replaced by writing a new file, syncing it, renaming it over the old one and syncing the folder: after
//! a power cut there is the old record or the new one, never half of one. A software PIN pad cannot know that somebody
//! put an old file back; a real one keeps its state where nobody can.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{BATTERY_KEY, BatteryKey, Record, Storage};
use crate::Error;

/// The battery key's file.
const BATTERY: &str = "battery.key";
/// The lock's file.
const LOCK: &str = "lock";
/// Mode of the folder: its owner alone.
const FOLDER_MODE: u32 = 0o700;
/// Mode of every file in it.
const FILE_MODE: u32 = 0o600;
/// Permission bits of group and others.
const OTHERS: u32 = 0o077;
/// Longest record that is read, bytes: 100 slots with two keys each take less than 16 kB, and a device state holds a
/// handful of certificates.
const MAX_RECORD: u64 = 1 << 20;

/// A terminal's folder, locked for this process until dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Holds the lock; the system lets go of it however the process ends.
    _lock: File,
}

impl Folder {
    /// Makes the folder (its parent must exist) or takes one that holds no terminal, locks it, and makes its battery
    /// key.
    ///
    /// # Errors
    /// [`Error::AlreadyATerminal`], [`Error::InUse`], [`Error::Io`], [`Error::Crypto`].
    pub fn create(path: &Path) -> Result<Folder, Error> {
        match fs::DirBuilder::new().mode(FOLDER_MODE).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(io("make", path)(error));
            }
            _ => {}
        }
        let folder = Folder { path: path.to_owned(), _lock: lock(path)? };
        let files = [BATTERY, file_name(Record::Pad), file_name(Record::Device)];
        if files.iter().any(|name| path.join(name).exists()) {
            return Err(Error::AlreadyATerminal { folder: path.to_owned() });
        }
        folder.make_battery()?;
        Ok(folder)
    }

    /// Opens and locks the folder of a terminal.
    ///
    /// # Errors
    /// [`Error::NotATerminal`], [`Error::InUse`], [`Error::Io`].
    pub fn open(path: &Path) -> Result<Folder, Error> {
        let there = |name: &str| path.join(name).exists();
        if !there(BATTERY) && !there(file_name(Record::Pad)) && !there(file_name(Record::Device)) {
            return Err(Error::NotATerminal { folder: path.to_owned() });
        }
        Ok(Folder { path: path.to_owned(), _lock: lock(path)? })
    }

    fn make_battery(&self) -> Result<(), Error> {
        let mut key = Zeroizing::new([0; BATTERY_KEY]);
        paycrypto::random::fill(key.as_mut_slice())?;
        let path = self.path.join(BATTERY);
        write_new(&path, key.as_slice())?;
        self.sync()
    }

    /// Makes renames and new names in the folder survive a power cut.
    fn sync(&self) -> Result<(), Error> {
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(io("sync", &self.path))
    }
}

impl Storage for Folder {
    fn battery_key(&self) -> Result<BatteryKey, Error> {
        let path = self.path.join(BATTERY);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::BatteryRemoved { file: path });
            }
            opened => opened.map_err(io("open", &path))?,
        };
        let metadata = file.metadata().map_err(io("look at", &path))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(Error::BatteryExposed { file: path, mode });
        }
        let found = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        if found != BATTERY_KEY {
            return Err(Error::BatteryDamaged { file: path, found });
        }
        let mut key = Zeroizing::new([0; BATTERY_KEY]);
        file.read_exact(key.as_mut_slice()).map_err(io("read", &path))?;
        Ok(key)
    }

    fn load(&self, record: Record) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path.join(file_name(record));
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(io("open", &path))?,
        };
        let mut sealed = Vec::new();
        file.take(MAX_RECORD).read_to_end(&mut sealed).map_err(io("read", &path))?;
        Ok(Some(sealed))
    }

    fn store(&self, record: Record, sealed: &[u8]) -> Result<(), Error> {
        let path = self.path.join(file_name(record));
        let new = path.with_extension("new");
        // One that a power cut left behind was never renamed, so nothing depends on it.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io("remove", &new)(error)),
            _ => {}
        }
        write_new(&new, sealed)?;
        fs::rename(&new, &path).map_err(io("replace", &path))?;
        self.sync()
    }
}

fn file_name(record: Record) -> &'static str {
    match record {
        Record::Pad => "pad.sealed",
        Record::Device => "device.sealed",
    }
}

/// Writes a file that was not there, to the disk.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(io("write", path))
}

fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(&path)
        .map_err(io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { folder: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io("lock", &path)(error)),
    }
}

fn io<'a>(act: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::Io { act, path: path.to_owned(), source }
}
