//! The next area: what stays, and what is new, until the switch.

use wire::{Manifest, PackageId, PackageKind, PackageName};

use super::storage::{FileName, Room, read_whole};
use super::{AreaError, Areas, Installed, MAX_DOCUMENT, Part, installed};

/// The next area while it is filled. Dropped before [`switch`](Next::switch), it is nothing.
#[derive(Debug)]
pub(crate) struct Next<'a> {
    areas: &'a mut Areas,
    room: Room,
    installed: Vec<Installed>,
    new: Vec<PackageId>,
}

impl Areas {
    /// Begins the next area with what is in the current one.
    pub(crate) fn next(&mut self) -> Result<Next<'_>, AreaError> {
        self.empty_next()?;
        let (current, room) = (self.selection.room(), self.selection.other());
        for package in &self.installed {
            let file = package.file();
            self.storage.link((current, &file), (room, &file))?;
        }
        let installed = self.installed.clone();
        Ok(Next { areas: self, room, installed, new: Vec::new() })
    }

    /// Gives up what the area that is not current holds, and its room.
    pub(crate) fn empty_next(&mut self) -> Result<(), AreaError> {
        if !self.selection.is_settled() {
            return Err(AreaError::NotStarted);
        }
        let room = self.selection.other();
        for name in self.storage.list(room)? {
            self.storage.remove(room, &name)?;
        }
        Ok(())
    }
}

impl Next<'_> {
    /// Takes an application or a data file out of `incoming`, in place of what has its name.
    pub(crate) fn put_file(&mut self, manifest: &Manifest, part: &Part) -> Result<(), AreaError> {
        let package = Installed { manifest: manifest.clone() };
        let file = package.file();
        self.areas.storage.link((Room::Incoming, part.file()), (self.room, &file))?;
        self.put(package)
    }

    /// Takes parameters: the document that their patch made.
    pub(crate) fn put_document(&mut self, manifest: &Manifest, document: &[u8]) -> Result<(), AreaError> {
        let package = Installed { manifest: manifest.clone() };
        // Never written in place: until here it is the current area's own file under a second name. And not as a list or
        // a mark is: a document may be large, and the disk's last room is for the terminal's own state.
        let file = package.file();
        self.areas.storage.remove(self.room, &file)?;
        self.areas.storage.write(self.room, &file, 0, document)?;
        self.put(package)
    }

    /// The parameters of this name as they are now; nothing when there are none, or when they are too long.
    pub(crate) fn document(&self, name: &PackageName) -> Result<Option<Vec<u8>>, AreaError> {
        self.content(name, PackageKind::Parameters)
    }

    /// A data file of at most [`MAX_DOCUMENT`] bytes.
    pub(crate) fn data_file(&self, name: &PackageName) -> Result<Option<Vec<u8>>, AreaError> {
        self.content(name, PackageKind::DataFile)
    }

    /// A part of at most [`MAX_DOCUMENT`] bytes.
    pub(crate) fn part(&self, part: &Part) -> Result<Option<Vec<u8>>, AreaError> {
        read_whole(self.areas.storage.as_ref(), Room::Incoming, part.file(), MAX_DOCUMENT)
    }

    /// Makes it safe, and then the current one.
    pub(crate) fn switch(self) -> Result<(), AreaError> {
        let Next { areas, room, installed, new } = self;
        for package in &installed {
            areas.storage.sync(room, &package.file())?;
        }
        installed::store(areas.storage.as_mut(), room, &installed)?;
        areas.storage.settle(room)?;
        areas.select(areas.selection.switched(new))?;
        (areas.installed, areas.lost) = (installed, Vec::new());
        Ok(())
    }

    fn put(&mut self, package: Installed) -> Result<(), AreaError> {
        let file = package.file();
        let same_name = |other: &Installed| other.manifest.id.name == package.manifest.id.name;
        let before: Vec<FileName> =
            self.installed.iter().filter(|p| same_name(p)).map(Installed::file).collect();
        for old in before.iter().filter(|old| **old != file) {
            self.areas.storage.remove(self.room, old)?;
        }
        self.installed.retain(|other| !same_name(other));
        self.new.push(package.manifest.id.clone());
        self.installed.push(package);
        self.installed.sort_by(|a, b| a.manifest.id.cmp(&b.manifest.id));
        Ok(())
    }

    fn content(&self, name: &PackageName, kind: PackageKind) -> Result<Option<Vec<u8>>, AreaError> {
        let found = self
            .installed
            .iter()
            .find(|package| package.manifest.id.name == *name && package.manifest.id.kind == kind);
        match found {
            Some(package) => {
                read_whole(self.areas.storage.as_ref(), self.room, &package.file(), MAX_DOCUMENT)
            }
            None => Ok(None),
        }
    }
}
