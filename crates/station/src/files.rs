//! Files that are whole or not there, and for their owner only.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::Error;

/// Mode of files: for the owner.
const FILE_MODE: u32 = 0o600;
/// Mode of folders: for the owner.
const FOLDER_MODE: u32 = 0o700;
/// What a file is called while it is incomplete.
pub(crate) const PART: &str = ".part";

/// Makes the folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
        .map_err(Error::file("make the folder", path))
}

/// Writes the file so that it is there whole, or as before, whatever happens meanwhile.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let part = part_of(path);
    match fs::remove_file(&part) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(Error::file("remove the leftover", &part)(error));
        }
        _ => {}
    }
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(Error::file("write", &part))?;
    rename(&part, path)
}

/// Renames within a folder, and has it on disk when it returns.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(Error::file("rename", from))?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file("save the folder", folder))
}

/// The name of a file while it is incomplete.
pub(crate) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PART);
    name.into()
}

/// Reads a file of at most `max` bytes.
pub(crate) fn read(path: &Path, max: u64) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let mut read = || File::open(path)?.take(max + 1).read_to_end(&mut bytes);
    read().map_err(Error::file("read", path))?;
    if bytes.len() as u64 > max {
        let long = std::io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {max} bytes"));
        return Err(Error::file("read", path)(long));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_for_their_owner_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(part_of(&path), b"left by a crash").unwrap();
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!part_of(&path).exists());
    }

    #[test]
    fn reading_ends_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, [0; 10]).unwrap();
        assert_eq!(read(&path, 10).unwrap().len(), 10);
        assert!(matches!(read(&path, 9), Err(Error::File { act: "read", .. })));
    }
}
