//! Areas in a folder.
//!
//! ```text
//! <folder>/            0700
//!     selection.json   which area is current, and whether its first start is under way
//!     a/, b/           area.json, and the files of the packages
//!     incoming/        part-*: what came so far; mark-*: how much of it is safely here
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{AreaError, FileName, PackageStorage, Room};

/// Mode of the folders: their owner alone.
const FOLDER_MODE: u32 = 0o700;
/// Mode of every file.
const FILE_MODE: u32 = 0o600;
/// Room on the disk that packages leave alone, bytes: the terminal's own state must always find some.
const RESERVE: u64 = 1 << 20;
/// What a file is called while it is written to replace another one.
const NEW: &str = ".new";

/// Files in a folder. Whoever has opened the terminal has its folder locked: one process at a time.
#[derive(Debug)]
pub struct FolderPackages {
    path: PathBuf,
    reserve: u64,
}

impl FolderPackages {
    /// Takes a folder, which is made unless it is there; its parent must be.
    ///
    /// # Errors
    /// [`AreaError::Io`], [`AreaError::Full`].
    pub fn open(path: &Path) -> Result<FolderPackages, AreaError> {
        make(path)?;
        if let Some(parent) = path.parent() {
            // Or a power cut might take the whole folder, with all that was made safe in it.
            sync_folder(parent)?;
        }
        let folder = FolderPackages { path: path.to_owned(), reserve: RESERVE };
        for room in Room::ALL {
            make(&folder.room(room))?;
            folder.remove_half_written(room)?;
        }
        folder.sync_folder(Room::Selection)?;
        Ok(folder)
    }

    fn room(&self, room: Room) -> PathBuf {
        room.folder().map_or_else(|| self.path.clone(), |folder| self.path.join(folder))
    }

    fn file(&self, room: Room, name: &FileName) -> PathBuf {
        self.room(room).join(name.as_str())
    }

    /// Refuses to take the last room.
    fn leave_room(&self, path: &Path, bytes: u64) -> Result<(), AreaError> {
        let disk = rustix::fs::statvfs(&self.path).map_err(|error| failed("look at", path)(error.into()))?;
        let left = disk.f_bavail.saturating_mul(disk.f_frsize);
        let needed = self.reserve.saturating_add(bytes);
        if left < needed { Err(AreaError::Full { path: path.to_owned() }) } else { Ok(()) }
    }

    /// Removes what a power cut left behind before it was renamed: nothing depends on it.
    fn remove_half_written(&self, room: Room) -> Result<(), AreaError> {
        let path = self.room(room);
        for entry in fs::read_dir(&path).map_err(failed("list", &path))? {
            let entry = entry.map_err(failed("list", &path))?;
            if entry.file_name().to_str().is_some_and(|name| name.ends_with(NEW)) {
                fs::remove_file(entry.path()).map_err(failed("remove", &entry.path()))?;
            }
        }
        Ok(())
    }

    fn sync_folder(&self, room: Room) -> Result<(), AreaError> {
        sync_folder(&self.room(room))
    }
}

impl PackageStorage for FolderPackages {
    fn list(&self, room: Room) -> Result<Vec<FileName>, AreaError> {
        let path = self.room(room);
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(failed("list", &path))? {
            let entry = entry.map_err(failed("list", &path))?;
            // What has no name of ours is not ours.
            let name = entry.file_name().to_str().and_then(FileName::new);
            let is_file = entry.file_type().map_err(failed("list", &path))?.is_file();
            names.extend(name.filter(|_| is_file));
        }
        Ok(names)
    }

    fn length(&self, room: Room, name: &FileName) -> Result<Option<u64>, AreaError> {
        let path = self.file(room, name);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => Ok(Some(found.map_err(failed("look at", &path))?.len())),
        }
    }

    fn read(&self, room: Room, name: &FileName, offset: u64, buffer: &mut [u8]) -> Result<usize, AreaError> {
        let path = self.file(room, name);
        let file = File::open(&path).map_err(failed("open", &path))?;
        file.read_at(buffer, offset).map_err(failed("read", &path))
    }

    fn write(&mut self, room: Room, name: &FileName, offset: u64, bytes: &[u8]) -> Result<(), AreaError> {
        let path = self.file(room, name);
        self.leave_room(&path, u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(&path)
            .and_then(|file| file.set_len(offset).and_then(|()| file.write_all_at(bytes, offset)));
        written.map_err(failed("write", &path))
    }

    fn sync(&mut self, room: Room, name: &FileName) -> Result<(), AreaError> {
        let path = self.file(room, name);
        File::open(&path).and_then(|file| file.sync_all()).map_err(failed("sync", &path))
    }

    fn replace(&mut self, room: Room, name: &FileName, bytes: &[u8]) -> Result<(), AreaError> {
        let path = self.file(room, name);
        let new = self.room(room).join(format!("{name}{NEW}"));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(&new)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
        if let Err(error) = written {
            // Half a file that nothing names would only take room.
            let _ = fs::remove_file(&new);
            return Err(failed("write", &path)(error));
        }
        fs::rename(&new, &path).map_err(failed("replace", &path))?;
        self.sync_folder(room)
    }

    fn link(&mut self, from: (Room, &FileName), to: (Room, &FileName)) -> Result<(), AreaError> {
        let (from, room, path) = (self.file(from.0, from.1), to.0, self.file(to.0, to.1));
        self.remove(room, to.1)?;
        if fs::hard_link(&from, &path).is_ok() {
            return Ok(());
        }
        // A file system without hard links.
        let length = fs::metadata(&from).map_err(failed("look at", &from))?.len();
        self.leave_room(&path, length)?;
        fs::copy(&from, &path)
            .and_then(|_| File::open(&path))
            .and_then(|file| file.sync_all())
            .map_err(failed("copy to", &path))
    }

    fn remove(&mut self, room: Room, name: &FileName) -> Result<(), AreaError> {
        let path = self.file(room, name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    fn settle(&mut self, room: Room) -> Result<(), AreaError> {
        self.sync_folder(room)
    }
}

fn sync_folder(path: &Path) -> Result<(), AreaError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(failed("sync", path))
}

fn make(path: &Path) -> Result<(), AreaError> {
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed("make", path)(error)),
        _ => Ok(()),
    }
}

fn failed<'a>(act: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> AreaError + 'a {
    move |source| AreaError::of(act, path.to_owned(), source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_room_is_for_the_terminals_own_state() {
        let folder = tempfile::tempdir().unwrap();
        let mut packages = FolderPackages::open(&folder.path().join("packages")).unwrap();
        let name = FileName::new("part").unwrap();
        packages.write(Room::Incoming, &name, 0, b"some").unwrap();
        // As if the disk had less left than must stay.
        packages.reserve = u64::MAX;
        let refused = packages.write(Room::Incoming, &name, 4, b"more").unwrap_err();
        assert!(matches!(refused, AreaError::Full { .. }), "{refused}");
        assert_eq!(packages.length(Room::Incoming, &name).unwrap(), Some(4));
        // Marks and lists are small, and say where everything stands: they may take of it.
        packages.replace(Room::Incoming, &name, b"mark").unwrap();
    }
}
