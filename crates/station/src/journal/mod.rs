//! The journal: what a station has collected, packed and heard from the server, so that neither a power failure nor a dead
//! server loses anything, and nothing is uploaded twice.
//!
//! A terminal's answer is on disk before the run counts it; a package is on disk before it is uploaded; the server's
//! answer is on disk before the package counts as uploaded. What a crash interrupts is then at worst done again, which
//! terminals answer with the same bytes and the server with 409. A journal is a folder, which one process uses at a time:
//!
//! | file | holds |
//! |---|---|
//! | `NNNNNNNN.journal` | records; the highest number is the one in use, the others are done with |
//! | `key.sealed` | the journal's key, under the station passphrase |
//! | `mark` | how far the journal certainly was on disk, under a key made of the journal's |
//! | `lock` | nothing; who has it locked uses the journal |
//!
//! # A file of records
//!
//! Numbers are little-endian. The file is only appended to; each record is fsynced before it counts.
//!
//! ```text
//! head      "KFJRNL01" (8) ‖ journal (16) ‖ file's number (4) ‖ made at (8) ‖ number of its first record (8) ‖
//!           last tag of the file before (16, zeros in the first) ‖ nonce (12) ‖ tag (16)
//! record n  length L (4) ‖ nonce (12) ‖ check (8) ‖ text, encrypted (L) ‖ tag (16)
//! ```
//!
//! All is AES-256-GCM under the journal's key, which is random, with random nonces. The head's tag covers the head. Of a
//! record, the additional data is `"KFJ text" ‖ n (8) ‖ tag before (16) ‖ L (4)`, the tag before the first record being the
//! head's: so a record that was changed, taken out, moved, doubled or taken from another journal does not open in its
//! place. `check` is the first 8 bytes of SHA-256 over `"KFJ head" ‖ n ‖ tag before ‖ L ‖ nonce`: with it a changed length is
//! told from a record that a crash cut off. The text is a record in postcard.
//!
//! `key.sealed`: `"KFJKEY01" ‖ journal (16) ‖ memory KiB (4) ‖ passes (4) ‖ lanes (4) ‖ salt (16) ‖ nonce (12) ‖ the key,
//! AES-256-GCM (32 + 16) ‖ SHA-256 of all before (32)`. Its key is Argon2id (RFC 9106) of the passphrase, with what is before
//! the ciphertext as additional data. A new passphrase replaces this file alone.
//!
//! # What opening does
//!
//! The newest file is read and checked to its end. What a crash cut off the end, and was therefore never said to be kept, is
//! taken away: a record that is not whole, or whose last sectors were not written. Anything else that is not as it was
//! written is refused by name, and so is an end that is short of the mark, and a journal without one ([`Damage`]). Who can
//! put back an older mark with the records up to it, or a whole folder of yesterday, can make the station forget today; then
//! terminals are collected again, and the server answers 409.
//!
//! When all in a file is answered and it is long, opening begins a new one, whose head has the last tag of the old.
//! Memory holds a few hundred bytes for each answer that is open and each package of the newest file; frames, packages and
//! the server's answers stay on disk. A file of 435 MB, with 200 000 terminals of suite 02 of which 100 000 are open, opens in
//! 1.5 s and 60 MB on a machine of two cores.

mod error;
mod file;
mod folder;
mod frame;
mod key;
mod mark;
mod pack;
mod queue;
mod record;
mod rescue;
mod state;

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use wire::Serial;

use self::{
    file::{JournalFile, Place},
    key::Key,
    mark::{Mark, MarkFile},
    record::Record,
    state::State,
};
use crate::Error;

pub use error::{Damage, JournalError};
pub use folder::Checked;
pub use key::MIN_PASSPHRASE;
pub use pack::{LeftRun, Packing, WithdrawnTerminal, pack_collected};
pub use queue::{Answered, Outcome, PackageName, Queued};
pub use rescue::Rescued;

/// A station's journal, held by one process. Its methods may be called from several threads.
pub struct Journal {
    folder: PathBuf,
    key: Key,
    inner: Mutex<Inner>,
    /// Held while a package is on its way, so that two threads do not upload one.
    uploading: Mutex<()>,
    _lock: File,
}

struct Inner {
    file: JournalFile,
    mark: MarkFile,
    state: State,
    changes: u64,
    /// Set while a record is written: whoever finds it set does not know what is on the disk.
    broken: bool,
}

/// The journal in numbers, for a display that looks often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overview {
    /// Grows with every record that this process wrote: nothing has changed while it is the same.
    pub changes: u64,
    /// Terminals collected and in no package.
    pub unpacked: usize,
    /// Packages without an answer of the server.
    pub waiting: usize,
    /// Terminals in them.
    pub waiting_terminals: u64,
    /// Packages answered, of the newest file.
    pub answered: usize,
    /// Bytes of the newest file.
    pub bytes: u64,
}

/// A run's answers that are in no package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpackedRun {
    /// The run's number.
    pub run: u64,
    /// When it began, unix seconds.
    pub began: i64,
    /// 1 or 2.
    pub suite: u8,
    /// Whose operator card was there, the subject.
    pub operator: String,
    /// Whose administrator card was there.
    pub administrator: String,
    /// Whether the new TKs are to replace ones that the KMS has.
    pub replaces: bool,
    /// When its ceremony ends, unix seconds; none in suite 01.
    pub ends: Option<i64>,
    /// Serial and fingerprint of each, in the order in which they answered.
    pub terminals: Vec<(Serial, String)>,
}

impl Journal {
    /// Makes a journal in this folder, which is made if need be, under this passphrase.
    ///
    /// # Errors
    /// [`JournalError::Exists`], [`JournalError::ShortPassphrase`] (fewer than [`MIN_PASSPHRASE`] characters),
    /// [`JournalError::InUse`]; [`Error::File`].
    pub fn create(folder: &Path, passphrase: &str) -> Result<Journal, Error> {
        folder::create(folder, passphrase)
    }

    /// Opens the journal in this folder, checks it, and takes away what a crash cut off.
    ///
    /// # Errors
    /// [`JournalError::Missing`], [`JournalError::InUse`], [`JournalError::WrongPassphrase`], [`JournalError::Key`],
    /// [`JournalError::Damaged`]; [`Error::File`].
    pub fn open(folder: &Path, passphrase: &str) -> Result<Journal, Error> {
        folder::open(folder, passphrase)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts the journal under another passphrase. Whatever happens meanwhile, the old one or the new one opens it.
    ///
    /// # Errors
    /// [`JournalError::ShortPassphrase`]; [`Error::File`].
    pub fn change_passphrase(&self, new: &str) -> Result<(), Error> {
        self.key.save(&self.folder, new)
    }

    /// The journal in numbers.
    pub fn overview(&self) -> Overview {
        let inner = self.lock();
        let state = &inner.state;
        Overview {
            changes: inner.changes,
            unpacked: state.runs.values().map(|run| run.answers.len()).sum(),
            waiting: state.waiting.len(),
            waiting_terminals: state.waiting.values().map(|one| u64::from(one.terminals)).sum(),
            answered: state.answered.len(),
            bytes: inner.file.length,
        }
    }

    /// What was collected and is in no package, by runs, oldest first.
    pub fn unpacked(&self) -> Vec<UnpackedRun> {
        let inner = self.lock();
        let open = inner.state.runs.iter().filter(|(_, open)| !open.answers.is_empty());
        open.map(|(number, open)| UnpackedRun {
            run: *number,
            began: open.run.at,
            suite: open.run.suite,
            operator: open.run.operator.name.clone(),
            administrator: open.run.administrator.name.clone(),
            replaces: open.run.replaces,
            ends: open.run.ceremony.as_ref().map(|ceremony| ceremony.expires_at),
            terminals: open
                .answers
                .values()
                .filter_map(|kept| Some((Serial::parse(&kept.sn).ok()?, kept.fingerprint.clone())))
                .collect(),
        })
        .collect()
    }

    /// Writes a record, and takes it up when it is on disk.
    fn append(&self, record: Record) -> Result<u64, Error> {
        let mut inner = self.lock();
        inner.append(&self.key, record)
    }

    /// Reads a record of the newest file again.
    fn read(&self, place: Place) -> Result<Record, Error> {
        self.lock().file.read(&self.key, place)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A thread that failed while it wrote has left `broken` set.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn append(&mut self, key: &Key, record: Record) -> Result<u64, Error> {
        if self.broken {
            return Err(JournalError::Broken { path: self.file.path.clone() }.into());
        }
        self.broken = true;
        let appended = self.file.append(key, &record);
        self.broken = matches!(appended, Err(Error::Journal(JournalError::Broken { .. })));
        let place = appended?;
        self.mark.set(Mark { number: place.link.number, tag: self.file.next.before });
        self.state.take(record, place);
        self.changes += 1;
        Ok(place.link.number)
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("folder", &self.folder).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
