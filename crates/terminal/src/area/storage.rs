//! What the areas need of a disk: few acts, each with what survives a power cut.

use std::fmt;
use std::path::PathBuf;

use super::AreaError;

/// Where a file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Room {
    /// Which area is current.
    Selection,
    /// One area.
    A,
    /// The other one.
    B,
    /// What is being downloaded.
    Incoming,
}

impl Room {
    /// Every room.
    pub const ALL: [Room; 4] = [Room::Selection, Room::A, Room::B, Room::Incoming];

    /// Its folder, below that of the packages; none for the selection, which lies in it.
    #[must_use]
    pub fn folder(self) -> Option<&'static str> {
        match self {
            Room::Selection => None,
            Room::A => Some("a"),
            Room::B => Some("b"),
            Room::Incoming => Some("incoming"),
        }
    }
}

/// Longest file name, bytes.
const MAX_FILE_NAME: usize = 80;

/// The name of a file in a room: lower-case letters, digits, `-` and `.`, these two not at the beginning. A package's own name,
/// which may be any UTF-8, never becomes a path: it goes in as a digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

impl FileName {
    /// Takes a name, if it is one.
    #[must_use]
    pub fn new(text: &str) -> Option<FileName> {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let good = text.len() <= MAX_FILE_NAME
            && text.starts_with(word)
            && text.chars().all(|c| word(c) || c == '-' || c == '.')
            // What is being written; it is renamed when it is whole.
            && !text.ends_with(".new");
        good.then(|| FileName(text.to_owned()))
    }

    /// A name that is part of this program.
    pub(super) fn fixed(text: &'static str) -> FileName {
        debug_assert!(FileName::new(text).is_some());
        FileName(text.to_owned())
    }

    /// `<kind>-<32 hex digits of the digest>`, for what has a name from outside.
    pub(super) fn digest(kind: &'static str, of: &[u8]) -> FileName {
        use std::fmt::Write as _;
        let digest = paycrypto::digest::sha256(of);
        let mut name = format!("{kind}-");
        for byte in digest.iter().take(16) {
            let _ = write!(name, "{byte:02x}"); // writing to a String cannot fail
        }
        FileName(name)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A file in a room, for messages.
pub(super) fn path(room: Room, name: &FileName) -> PathBuf {
    let mut path = PathBuf::from(room.folder().unwrap_or_default());
    path.push(name.as_str());
    path
}

/// Keeps the files of the areas.
///
/// [`write`](PackageStorage::write) and [`link`](PackageStorage::link) may be lost in a power cut until
/// [`sync`](PackageStorage::sync) has made the bytes and [`settle`](PackageStorage::settle) the names safe;
/// [`replace`](PackageStorage::replace) is safe and whole when it returns, and before that the old file is.
pub trait PackageStorage: Send {
    /// The names in a room, in any order.
    ///
    /// # Errors
    /// When it cannot be read; as all acts, [`AreaError::Io`].
    fn list(&self, room: Room) -> Result<Vec<FileName>, AreaError>;

    /// How many bytes a file has, if it is there.
    ///
    /// # Errors
    /// When it cannot be looked at.
    fn length(&self, room: Room, name: &FileName) -> Result<Option<u64>, AreaError>;

    /// Reads from `offset` on as much as there is and fits; 0 at the end.
    ///
    /// # Errors
    /// When it is missing or cannot be read.
    fn read(&self, room: Room, name: &FileName, offset: u64, buffer: &mut [u8]) -> Result<usize, AreaError>;

    /// Writes at `offset`, which is not past the end; what the file had from there on is gone. Makes the file.
    ///
    /// # Errors
    /// [`AreaError::Full`] when there is no room; what was there before `offset` stays.
    fn write(&mut self, room: Room, name: &FileName, offset: u64, bytes: &[u8]) -> Result<(), AreaError>;

    /// Makes the bytes of a file survive a power cut.
    ///
    /// # Errors
    /// [`AreaError::Full`]; when it cannot be written.
    fn sync(&mut self, room: Room, name: &FileName) -> Result<(), AreaError>;

    /// Puts a whole file in place of another, or of none: after a power cut there is one or the other.
    ///
    /// # Errors
    /// [`AreaError::Full`]; when it cannot be written. The old one stays.
    fn replace(&mut self, room: Room, name: &FileName, bytes: &[u8]) -> Result<(), AreaError>;

    /// Gives a file a second name, by a hard link or a copy with its bytes synced. A file there before is replaced.
    ///
    /// # Errors
    /// [`AreaError::Full`]; when it cannot be made.
    fn link(&mut self, from: (Room, &FileName), to: (Room, &FileName)) -> Result<(), AreaError>;

    /// Removes a file; none is no error.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&mut self, room: Room, name: &FileName) -> Result<(), AreaError>;

    /// Makes the names in a room survive a power cut: those that came and those that went.
    ///
    /// # Errors
    /// When it cannot be written.
    fn settle(&mut self, room: Room) -> Result<(), AreaError>;
}

/// Reads a whole file of at most `most` bytes; nothing when it is missing or longer.
pub(super) fn read_whole(
    storage: &dyn PackageStorage,
    room: Room,
    name: &FileName,
    most: usize,
) -> Result<Option<Vec<u8>>, AreaError> {
    let Some(length) = storage.length(room, name)? else { return Ok(None) };
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= most) else {
        return Ok(None);
    };
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let offset = u64::try_from(filled).unwrap_or(u64::MAX);
        match storage.read(room, name, offset, rest)? {
            0 => return Ok(None),
            count => filled = filled.saturating_add(count),
        }
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_its_room() {
        for bad in ["", ".", "..", "a.new", "a/b", "a\\b", "A", "-a", ".a", "a b", "ä", "a\0"] {
            assert!(FileName::new(bad).is_none(), "{bad:?}");
        }
        assert!(FileName::new(&"a".repeat(MAX_FILE_NAME)).is_some());
        assert!(FileName::new(&"a".repeat(MAX_FILE_NAME + 1)).is_none());
        let digest = FileName::digest("part", "../\u{0}ü".as_bytes());
        assert_eq!(FileName::new(digest.as_str()), Some(digest));
    }
}
