//! The program's own file: hashed at the start, and compared at each self-test.
//!
//! What this shows: the file that this process runs is, byte for byte, the one that it ran when it started. A disk that
//! fails, and a tool that writes into the file, are found; code is read from that file again whenever the system needs
//! a page of it.
//!
//! What it does not show: that the file was the right one at the start (who can write it can replace program and hash
//! alike; signed releases and the system's own measured start are for that), nor that memory is as the file is. Nobody
//! who already is this user or root is stopped by it.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use aws_lc_rs::digest::{Context, Digest, SHA256};

/// The running program's file, whatever became of its name since: an update beside it is no change of it.
const RUNNING: &str = "/proc/self/exe";
/// Bytes read at once.
const PIECE: usize = 64 * 1024;

/// A file, held open, and its hash at the start.
pub(super) struct Binary {
    file: File,
    hash: Digest,
}

impl Binary {
    /// The file of this process.
    pub(super) fn running() -> io::Result<Self> {
        Self::of(Path::new(RUNNING))
    }

    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let hash = hash(&file)?;
        Ok(Self { file, hash })
    }

    /// Whether the file is as it was. One that cannot be read is not.
    pub(super) fn is_unchanged(&self) -> bool {
        hash(&self.file).is_ok_and(|now| now.as_ref() == self.hash.as_ref())
    }
}

fn hash(file: &File) -> io::Result<Digest> {
    let (mut context, mut piece, mut at) = (Context::new(&SHA256), vec![0; PIECE], 0);
    loop {
        let read = file.read_at(&mut piece, at)?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(context.finish());
        };
        context.update(bytes);
        at += u64::try_from(read).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A copy of this test's own program.
    fn copy() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::copy(RUNNING, &path).unwrap();
        (folder, path)
    }

    fn flip(path: &Path, at: u64) {
        let file = File::options().read(true).write(true).open(path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    }

    #[test]
    fn r44_one_bit_flipped_in_a_copy_of_the_binary_is_found() {
        let (_folder, path) = copy();
        let binary = Binary::of(&path).unwrap();
        assert!(binary.is_unchanged());
        let length = fs::metadata(&path).unwrap().len();
        for at in [0, length / 2, length - 1] {
            flip(&path, at);
            assert!(!binary.is_unchanged(), "byte {at}");
            flip(&path, at);
            assert!(binary.is_unchanged(), "as it was");
        }
        let file = File::options().write(true).open(&path).unwrap();
        for other in [length + 1, length - 1] {
            file.set_len(other).unwrap();
            assert!(!binary.is_unchanged(), "{other} bytes of {length}");
        }
    }

    #[test]
    fn the_running_program_is_unchanged_and_an_update_beside_it_is_no_change() {
        assert!(Binary::running().unwrap().is_unchanged());
        let (folder, path) = copy();
        let binary = Binary::of(&path).unwrap();
        let next = folder.path().join("next");
        fs::write(&next, b"another release").unwrap();
        fs::rename(&next, &path).unwrap();
        assert!(binary.is_unchanged());
    }

    #[test]
    fn no_file_is_an_error() {
        assert!(Binary::of(Path::new("/nonexistent/program")).is_err());
    }
}
