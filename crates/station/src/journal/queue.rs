//! Packages: kept, read back, answered, given up.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};
use wire::Serial;

use super::{
    Damage, Journal, JournalError,
    record::{self, Digest, Dropped, Record},
    state,
};
use crate::{Error, Package, Upload, clock, results, text};

/// A package's name: the SHA-256 of its bytes, by which the server knows it too. Shown as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageName(pub(super) Digest);

/// A package that waits for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its name.
    pub name: PackageName,
    /// When it was signed, unix seconds.
    pub packed: i64,
    /// How many terminals are in it.
    pub terminals: u32,
    /// Its length in bytes.
    pub bytes: usize,
    /// When its ceremony ends, unix seconds: the KMS takes it no more then. None in suite 01.
    pub ends: Option<i64>,
}

/// A package that the server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The package.
    pub package: Queued,
    /// When the answer came, unix seconds.
    pub at: i64,
    /// What it said, in short; [`Journal::results`] has all.
    pub outcome: Outcome,
}

/// A server's answer in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It took the package.
    Taken {
        /// Terminals that it refused.
        refused: u32,
        /// Terminals that people must look at before they are deployed.
        alarms: u32,
    },
    /// The very bytes had arrived before, and the answer then was lost.
    ArrivedBefore,
}

impl Journal {
    /// Packages without an answer, oldest first.
    pub fn waiting(&self) -> Vec<Queued> {
        self.lock().state.waiting.values().map(queued).collect()
    }

    /// Packages that the server answered, oldest answer first, as far as they are in the newest file.
    pub fn answered(&self) -> Vec<Answered> {
        self.lock().state.answered.iter().map(answered).collect()
    }

    /// Keeps a package that was signed elsewhere than by [`pack_collected`](super::pack_collected). One that is there
    /// already stays as it is, whatever state it is in.
    ///
    /// # Errors
    /// [`JournalError::Write`], [`JournalError::TooLong`], [`JournalError::Broken`].
    pub fn keep(&self, package: &Package) -> Result<PackageName, Error> {
        self.keep_of(package, 0, Vec::new())
    }

    /// Keeps a package of these answers of a run.
    pub(super) fn keep_of(
        &self,
        package: &Package,
        run: u64,
        answers: Vec<u64>,
    ) -> Result<PackageName, Error> {
        let name = PackageName(Sha256::digest(package.cms()).into());
        let mut inner = self.lock();
        if !inner.state.knows(&name.0) {
            let terminals = u32::try_from(package.terminals().len()).unwrap_or(u32::MAX);
            let cms = package.cms().to_vec();
            let record = record::Package { run, at: clock::now(), terminals, answers, cms };
            inner.append(&self.key, Record::Package(record))?;
        }
        Ok(name)
    }

    /// Reads a package back, waiting or answered.
    ///
    /// # Errors
    /// [`JournalError::NoSuchPackage`]; [`JournalError::Damaged`] when it is not what was written any more;
    /// [`Error::File`].
    pub fn package(&self, name: &PackageName) -> Result<Package, Error> {
        let place = {
            let inner = self.lock();
            let waiting = inner.state.waiting(&name.0).map(|package| package.place);
            waiting.or_else(|| inner.state.answered(&name.0).map(|answered| answered.package.place))
        };
        let place = place.ok_or_else(|| unknown(name))?;
        match self.read(place)? {
            Record::Package(package) => Package::read(package.cms).map_err(|_| {
                let (path, damage) = (self.folder.clone(), Damage::Meaning);
                JournalError::Damaged { path, record: place.link.number, damage }.into()
            }),
            _ => Err(unknown(name)),
        }
    }

    /// What the server said about a package, if it has answered.
    ///
    /// # Errors
    /// As [`Journal::package`]; [`Error::AnswerMalformed`], [`Error::AnswerDoesNotFit`].
    pub fn results(&self, name: &PackageName) -> Result<Option<Upload>, Error> {
        let place = self.lock().state.answered(&name.0).map(|answered| answered.place);
        let Some(place) = place else { return Ok(None) };
        match self.read(place)? {
            Record::Answer(record::Answer { taken: Some(taken), .. }) => {
                let package = self.package(name)?;
                Ok(Some(Upload::Taken(results::read(&taken.body, &package)?)))
            }
            Record::Answer(_) => Ok(Some(Upload::ArrivedBefore)),
            _ => Err(unknown(name)),
        }
    }

    /// Keeps what the server said; `body` is what it said of each terminal, absent after a 409.
    pub(crate) fn keep_answer(
        &self,
        name: &PackageName,
        upload: &Upload,
        body: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let taken = match (upload, body) {
            (Upload::Taken(results), Some(body)) => Some(record::Taken {
                refused: count(results.iter().filter(|result| !result.ok).count()),
                alarms: count(upload.alarms().count()),
                body,
            }),
            _ => None,
        };
        let answer = record::Answer { package: name.0, at: clock::now(), taken };
        self.append(Record::Answer(answer)).map(drop)
    }

    /// Held while a package is on its way.
    pub(crate) fn hold_uploads(&self) -> std::sync::MutexGuard<'_, ()> {
        self.uploading.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Gives up a waiting package for good: it will not be uploaded. Its terminals are to be collected again.
    ///
    /// # Errors
    /// [`JournalError::NoSuchPackage`]; [`JournalError::Write`], [`JournalError::Broken`].
    pub fn give_up(&self, name: &PackageName, why: &str) -> Result<(), Error> {
        let mut inner = self.lock();
        if inner.state.waiting(&name.0).is_none() {
            return Err(unknown(name));
        }
        let dropped = dropped(Vec::new(), vec![name.0], why);
        inner.append(&self.key, dropped).map(drop)
    }

    /// Gives up what was collected of a terminal and is in no package; gives how many answers that were.
    ///
    /// # Errors
    /// [`JournalError::Write`], [`JournalError::Broken`].
    pub fn give_up_terminal(&self, sn: &Serial, why: &str) -> Result<usize, Error> {
        let mut inner = self.lock();
        let answers = inner.state.answers_of(sn.as_str());
        let found = answers.len();
        if found > 0 {
            inner.append(&self.key, dropped(answers, Vec::new(), why))?;
        }
        Ok(found)
    }

    /// Keeps that an answer is not used.
    pub(super) fn withdraw(&self, answer: u64, why: &str) -> Result<(), Error> {
        self.append(dropped(vec![answer], Vec::new(), why)).map(drop)
    }
}

fn dropped(answers: Vec<u64>, packages: Vec<Digest>, why: &str) -> Record {
    Record::Dropped(Dropped { at: clock::now(), answers, packages, why: why.to_owned() })
}

fn queued(package: &state::Waiting) -> Queued {
    Queued {
        name: PackageName(package.digest),
        packed: package.at,
        terminals: package.terminals,
        bytes: package.bytes,
        ends: package.ends,
    }
}

fn answered(answered: &state::Answered) -> Answered {
    let outcome = match answered.taken {
        Some((refused, alarms)) => Outcome::Taken { refused, alarms },
        None => Outcome::ArrivedBefore,
    };
    Answered { package: queued(&answered.package), at: answered.at, outcome }
}

fn unknown(name: &PackageName) -> Error {
    JournalError::NoSuchPackage { name: name.to_string() }.into()
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::hex(&self.0))
    }
}

impl fmt::Debug for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackageName({self})")
    }
}

impl FromStr for PackageName {
    type Err = Error;

    /// 64 hex digits.
    fn from_str(text: &str) -> Result<PackageName, Error> {
        let unknown = || JournalError::NoSuchPackage { name: crate::text::printable(text) };
        let digits = text.as_bytes();
        let mut digest = [0; 32];
        if digits.len() != 2 * digest.len() {
            return Err(unknown().into());
        }
        for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| unknown())?;
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(unknown().into());
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| unknown())?;
        }
        Ok(PackageName(digest))
    }
}
