//! Two areas for what a TMS brings: one runs, the other takes the next set of packages.
//!
//! ```text
//! incoming ──whole, right, signed──► next area ──switch──► first start ──went well──► current
//!                                                             │ failed, or the power did
//!                                                             └──► the area before, and the TMS is told
//! ```
//!
//! A file that is only half here lies in `incoming`, with a mark of how much of it is safe. When every
//! package of a set is checked, the other area is filled with links to what stays and to what is new, made safe, and
//! one replaced file switches over. The first start is marked before it begins: whoever finds that mark
//! after a power cut goes back. At every moment one area is whole, and it is the one that the selection names.
//!
//! Nothing here is secret, so nothing is sealed; signatures are checked before a package comes into an area.

mod folder;
mod incoming;
mod installed;
mod memory;
mod next;
mod selection;
mod storage;
#[cfg(test)]
pub(crate) mod tests;

use std::io;
use std::path::{Path, PathBuf};

use wire::{PackageId, PackageKind, PackageName};

pub use folder::FolderPackages;
pub use memory::MemoryPackages;
pub use selection::{FailedStart, Started};
pub use storage::{FileName, PackageStorage, Room};

pub(crate) use incoming::Part;
pub(crate) use installed::Installed;
pub(crate) use next::Next;

use selection::Selection;

/// Folder of the packages inside a terminal's own.
const PACKAGES: &str = "packages";
/// Most packages in an area: their names, versions and kinds must go into one inventory, or no TMS could be told of
/// anything any more (2-wire.md section 7: 65 500 bytes).
pub(crate) const MAX_PACKAGES: usize = 256;
/// Longest document of parameters, and longest schema, bytes: both are read whole.
pub const MAX_DOCUMENT: usize = 1 << 20;

/// Why the areas could not do something. What runs, runs on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AreaError {
    /// The disk is full.
    #[error("no room is left to write {}: free some and go on; nothing is lost", .path.display())]
    Full {
        /// What was being written.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {act} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        act: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A list of our own cannot be read.
    #[error("the {what} is damaged: have the terminal's packages loaded anew, in an empty folder")]
    Damaged {
        /// Which.
        what: &'static str,
    },
    /// The other area cannot be filled while it is what a failed start goes back to.
    #[error("the current area was not started yet: start it first")]
    NotStarted,
    /// What ran before does not start any more.
    #[error("the current area does not start: {why}")]
    Start {
        /// The start hook's reason.
        why: String,
    },
}

impl AreaError {
    fn of(act: &'static str, path: PathBuf, source: io::Error) -> AreaError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => AreaError::Full { path },
            _ => AreaError::Io { act, path, source },
        }
    }
}

/// Starts what an area holds: a terminal's firmware runs its application, a simulator looks whether everything is there.
/// A reason is for the TMS's operators, without secrets.
pub type StartHook<'a> = dyn FnMut(&Running<'_>) -> Result<(), String> + 'a;

/// The areas of a terminal.
pub struct Areas {
    storage: Box<dyn PackageStorage>,
    selection: Selection,
    installed: Vec<Installed>,
    /// What is listed as installed and is not there any more, after a disk lost it: to be loaded again.
    lost: Vec<Installed>,
    /// The time, as far as it is known; unix seconds.
    now: i64,
}

impl Areas {
    /// The areas in a terminal's folder; empty ones unless there are some. The terminal must be open: that locks it.
    ///
    /// # Errors
    /// [`AreaError`].
    pub fn in_folder(terminal: &Path) -> Result<Areas, AreaError> {
        Areas::open(FolderPackages::open(&terminal.join(PACKAGES))?)
    }

    /// Areas without a disk.
    ///
    /// # Errors
    /// None that can happen in memory.
    pub fn in_memory() -> Result<Areas, AreaError> {
        Areas::open(MemoryPackages::default())
    }

    /// The areas in any storage. After power came back, [`start`](Areas::start) is the next act.
    ///
    /// # Errors
    /// [`AreaError`].
    pub fn open(storage: impl PackageStorage + 'static) -> Result<Areas, AreaError> {
        let storage: Box<dyn PackageStorage> = Box::new(storage);
        let (selection, listed) = match Selection::load(storage.as_ref())? {
            Some(selection) => {
                let listed = installed::load(storage.as_ref(), selection.room())?;
                (selection, listed)
            }
            None => (Selection::default(), Vec::new()),
        };
        let mut areas = Areas { storage, selection, installed: Vec::new(), lost: Vec::new(), now: 0 };
        areas.hold(listed)?;
        Ok(areas)
    }

    /// Holds what the current area's list names, as far as it is there.
    fn hold(&mut self, listed: Vec<Installed>) -> Result<(), AreaError> {
        let room = self.selection.room();
        (self.installed, self.lost) = (Vec::new(), Vec::new());
        for package in listed {
            let is_there = package.is_there(self.storage.length(room, &package.file())?);
            let list = if is_there { &mut self.installed } else { &mut self.lost };
            list.push(package);
        }
        Ok(())
    }

    /// What is installed in the current area, by name.
    pub fn installed(&self) -> impl Iterator<Item = &PackageId> {
        self.installed.iter().map(|package| &package.manifest.id)
    }

    /// What the current area holds.
    #[must_use]
    pub fn running(&self) -> Running<'_> {
        Running { areas: self }
    }

    pub(crate) fn find(&self, name: &PackageName) -> Option<&Installed> {
        self.installed.iter().find(|package| package.manifest.id.name == *name)
    }

    /// As [`find`](Areas::find), among what the disk has lost.
    pub(crate) fn find_lost(&self, name: &PackageName) -> Option<&Installed> {
        self.lost.iter().find(|package| package.manifest.id.name == *name)
    }
}

impl std::fmt::Debug for Areas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Areas").field("selection", &self.selection).finish_non_exhaustive()
    }
}

/// Reads what the current area holds.
#[derive(Debug, Clone, Copy)]
pub struct Running<'a> {
    areas: &'a Areas,
}

impl Running<'_> {
    /// What is installed.
    pub fn installed(&self) -> impl Iterator<Item = &PackageId> {
        self.areas.installed()
    }

    /// Bytes of a package's content: of parameters, of the document that came out of all patches.
    ///
    /// # Errors
    /// [`AreaError::Io`]; none of that name is [`std::io::ErrorKind::NotFound`].
    pub fn length(&self, name: &PackageName) -> Result<u64, AreaError> {
        let (room, file) = self.file(name)?;
        self.areas.storage.length(room, &file)?.ok_or_else(|| missing(storage::path(room, &file)))
    }

    /// Reads a package's content from `offset` on; 0 at its end.
    ///
    /// # Errors
    /// As [`length`](Running::length).
    pub fn read(&self, name: &PackageName, offset: u64, buffer: &mut [u8]) -> Result<usize, AreaError> {
        let (room, file) = self.file(name)?;
        self.areas.storage.read(room, &file, offset, buffer)
    }

    /// The parameters of this name, a JSON document.
    ///
    /// # Errors
    /// As [`length`](Running::length).
    pub fn parameters(&self, name: &PackageName) -> Result<Vec<u8>, AreaError> {
        let (room, file) = self.file(name)?;
        let is_document =
            self.areas.find(name).is_some_and(|found| found.manifest.id.kind == PackageKind::Parameters);
        let document = match is_document {
            true => storage::read_whole(self.areas.storage.as_ref(), room, &file, MAX_DOCUMENT)?,
            false => None,
        };
        document.ok_or_else(|| missing(storage::path(room, &file)))
    }

    fn file(&self, name: &PackageName) -> Result<(Room, FileName), AreaError> {
        let found = self.areas.find(name).ok_or_else(|| missing(PathBuf::from(name.to_string())))?;
        Ok((self.areas.selection.room(), found.file()))
    }
}

fn missing(path: PathBuf) -> AreaError {
    AreaError::Io { act: "find", path, source: io::ErrorKind::NotFound.into() }
}
