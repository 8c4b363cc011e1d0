//! Going on after damage, with what is sound.

use std::path::{Path, PathBuf};

use super::{
    Damage, Journal, JournalError,
    file::{FileHead, JournalFile},
    folder,
    key::Key,
    mark::{Mark, MarkFile},
    record::{self, Record},
    state::State,
};
use crate::{Error, clock, files};

/// What the damaged file is called afterwards.
const DAMAGED: &str = ".damaged";

/// What a rescue found.
#[derive(Debug)]
pub struct Rescued {
    /// The journal, open, with what was open and sound.
    pub journal: Journal,
    /// Where the damaged file is now; none where nothing was damaged.
    pub damaged: Option<PathBuf>,
    /// The first damage.
    pub damage: Option<Damage>,
}

impl Journal {
    /// Opens a journal whose newest file is damaged: what is open and sound goes on in a new file, the damaged one is
    /// renamed. An answer that was lost is collected again; a server's answer that was lost is 409 the next time.
    ///
    /// # Errors
    /// As [`Journal::open`], also for a file whose head is damaged: nothing in it can be told from another journal's.
    pub fn rescue(folder: &Path, passphrase: &str) -> Result<Rescued, Error> {
        let refused = match Journal::open(folder, passphrase) {
            Ok(journal) => return Ok(Rescued { journal, damaged: None, damage: None }),
            Err(error) => error,
        };
        let Error::Journal(JournalError::Damaged { damage, .. }) = refused else { return Err(refused) };
        let lock = folder::lock(folder)?;
        let key = Key::open(folder, passphrase)?;
        let Some(number) = folder::numbers(folder)?.pop() else { return Err(refused) };
        let renamed = go_on(folder, &key, number)?;
        drop(lock);
        let journal = Journal::open(folder, passphrase)?;
        Ok(Rescued { journal, damaged: Some(renamed), damage: Some(damage) })
    }
}

/// Begins the next file with what is open and sound in this one, which is renamed; gives its new name.
///
/// What is open is on disk in the next file before that has its name. A crash before the renaming leaves the damaged file
/// as the last but one, with all in it taken over.
pub(super) fn go_on(folder: &Path, key: &Key, number: u32) -> Result<PathBuf, Error> {
    let path = folder::path(folder, number);
    let mut old = JournalFile::open(&path, key, number)?;
    let mut state = State::default();
    old.read_sound(key, &mut |record, place| state.take(record, place))?;
    let next = number.saturating_add(1);
    let next_path = folder::path(folder, next);
    let part = files::part_of(&next_path);
    FileHead::create(&part, key, next, clock::now(), old.next)?;
    let mut new = JournalFile::open(&part, key, next)?;
    take_over(&old, &mut new, key, &state)?;
    // The mark is the damaged file's. A crash after this leaves one that is not of that file: it is rescued again.
    let last = if new.next == new.head.first() { old.next } else { new.next };
    let (mark_file, _) = MarkFile::open(folder, key)?;
    mark_file.put(Mark { number: last.number.saturating_sub(1), tag: last.before })?;
    files::rename(&part, &next_path)?;
    let mut renamed = path.as_os_str().to_owned();
    renamed.push(DAMAGED);
    let renamed = PathBuf::from(renamed);
    files::rename(&path, &renamed)?;
    Ok(renamed)
}

/// Writes what is open into the new file.
fn take_over(old: &JournalFile, new: &mut JournalFile, key: &Key, state: &State) -> Result<(), Error> {
    let mut runs = std::collections::HashMap::new();
    for (number, open) in &state.runs {
        // Also one without answers: a waiting package may be of it.
        let place = new.append(key, &Record::Run(open.run.clone()))?;
        runs.insert(*number, place.link.number);
        for kept in open.answers.values() {
            if let Record::Collected(collected) = old.read(key, kept.place)? {
                new.append(
                    key,
                    &Record::Collected(record::Collected { run: place.link.number, ..collected }),
                )?;
            }
        }
    }
    for waiting in state.waiting.values() {
        if let Record::Package(package) = old.read(key, waiting.place)? {
            let run = runs.get(&package.run).copied().unwrap_or_default();
            new.append(key, &Record::Package(record::Package { run, answers: Vec::new(), ..package }))?;
        }
    }
    Ok(())
}
