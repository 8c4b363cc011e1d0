//! Files on their way: what came, and a mark of how much of it is safely here.
//!
//! After a power cut a file may be longer than what was written to it in earnest, or hold zeros at its end. So its own
//! length says nothing: the mark does, which is moved only after the bytes before it were synced.

use std::time::{Duration, Instant};

use wire::Manifest;

use super::storage::{FileName, Room, read_whole};
use super::{AreaError, Areas};

/// The room of all this.
const ROOM: Room = Room::Incoming;
/// Most bytes that a power cut may take on a fast line.
const SYNC_BYTES: u64 = 1 << 20;
/// Longest time of receiving that a power cut may take on a slow line.
const SYNC_EVERY: Duration = Duration::from_secs(5);
/// Bytes of a mark: the offset.
const MARK: usize = 8;

/// A file on its way.
#[derive(Debug)]
pub(crate) struct Part {
    file: FileName,
    mark: FileName,
    size: u64,
    written: u64,
    safe: u64,
    synced_at: Instant,
}

impl Part {
    /// Bytes that are here.
    pub(crate) fn have(&self) -> u64 {
        self.written
    }

    /// Whether all of it is.
    pub(crate) fn is_whole(&self) -> bool {
        self.written == self.size
    }

    /// Where it lies.
    pub(crate) fn file(&self) -> &FileName {
        &self.file
    }
}

impl Areas {
    /// The part of a package, with what is safely here of it.
    pub(crate) fn part(&self, manifest: &Manifest) -> Result<Part, AreaError> {
        let (file, mark) = names(manifest);
        let marked = read_whole(self.storage.as_ref(), ROOM, &mark, MARK)?;
        let marked = marked.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
        let length = self.storage.length(ROOM, &file)?.unwrap_or(0);
        let have = marked.min(length).min(manifest.size);
        let synced_at = Instant::now();
        Ok(Part { file, mark, size: manifest.size, written: have, safe: have, synced_at })
    }

    /// Adds bytes to a part. Now and then it makes them safe.
    pub(crate) fn append(&mut self, part: &mut Part, bytes: &[u8]) -> Result<(), AreaError> {
        self.storage.write(ROOM, &part.file, part.written, bytes)?;
        part.written = part.written.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let unsafe_bytes = part.written.saturating_sub(part.safe);
        if unsafe_bytes >= SYNC_BYTES || part.synced_at.elapsed() >= SYNC_EVERY || part.is_whole() {
            self.secure(part)?;
        }
        Ok(())
    }

    /// Makes what is here of a part survive a power cut.
    pub(crate) fn secure(&mut self, part: &mut Part) -> Result<(), AreaError> {
        if part.written == part.safe {
            return Ok(());
        }
        self.storage.sync(ROOM, &part.file)?;
        if part.safe == 0 {
            self.storage.settle(ROOM)?;
        }
        self.storage.replace(ROOM, &part.mark, &part.written.to_be_bytes())?;
        part.safe = part.written;
        part.synced_at = Instant::now();
        Ok(())
    }

    /// An empty package has no bytes to be written, but a file all the same.
    pub(crate) fn touch(&mut self, part: &Part) -> Result<(), AreaError> {
        if part.size == 0 && self.storage.length(ROOM, &part.file)?.is_none() {
            self.storage.write(ROOM, &part.file, 0, &[])?;
            self.storage.sync(ROOM, &part.file)?;
            self.storage.settle(ROOM)?;
        }
        Ok(())
    }

    /// Reads a part; 0 at its end.
    pub(crate) fn read_part(&self, part: &Part, offset: u64, buffer: &mut [u8]) -> Result<usize, AreaError> {
        self.storage.read(ROOM, &part.file, offset, buffer)
    }

    /// Throws a part away, the mark first: a part without a mark is nothing.
    pub(crate) fn discard(&mut self, part: &Part) -> Result<(), AreaError> {
        self.storage.remove(ROOM, &part.mark)?;
        self.storage.settle(ROOM)?;
        self.storage.remove(ROOM, &part.file)
    }

    /// Throws away every part but those of these packages: what is planned no more, or is installed.
    pub(crate) fn keep_only<'a>(
        &mut self,
        wanted: impl IntoIterator<Item = &'a Manifest>,
    ) -> Result<(), AreaError> {
        let wanted: Vec<FileName> =
            wanted.into_iter().map(names).flat_map(|(file, mark)| [file, mark]).collect();
        let mut garbage = self.storage.list(ROOM)?;
        garbage.retain(|name| !wanted.contains(name));
        // Marks stand before parts: a power cut in between leaves a part without a mark, which is nothing.
        garbage.sort();
        for name in &garbage {
            self.storage.remove(ROOM, name)?;
        }
        if garbage.is_empty() { Ok(()) } else { self.storage.settle(ROOM) }
    }
}

fn names(manifest: &Manifest) -> (FileName, FileName) {
    let of = manifest.signed_bytes();
    (FileName::digest("part", &of), FileName::digest("mark", &of))
}
