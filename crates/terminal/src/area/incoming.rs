//! Files on their way: what came, and a mark of how much of it is safely here.
//!
//! After a power cut a file may be longer than what was written to it in earnest, or hold zeros at its end. So its own
//! length says nothing: the mark does, which is moved only after the bytes before it were synced.
//!
//! A plan may leave a package out for a while, because its window has closed or somebody paused it: what came of it stays,
//! for some weeks, unless the disk has no room for what is wanted now.

use std::time::{Duration, Instant};

use wire::Manifest;

use super::storage::{FileName, Room, read_whole};
use super::{AreaError, Areas};

/// The room of all this.
const ROOM: Room = Room::Incoming;
/// What the names of parts and of marks begin with.
const PART: &str = "part-";
const MARK_OF: &str = "mark-";
/// Most bytes that a power cut may take on a fast line.
const SYNC_BYTES: u64 = 1 << 20;
/// Longest time of receiving that a power cut may take on a slow line.
const SYNC_EVERY: Duration = Duration::from_secs(5);
/// Bytes of a mark: the offset, and when it was moved.
const MARK: usize = 16;
/// How long a part stays that no plan names, seconds: a deployment's window opens every day, and people come back from
/// their holidays.
const KEEP: i64 = 28 * 24 * 60 * 60;

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
        let marked = self.mark(&mark)?.map_or(0, |(offset, _)| offset);
        let length = self.storage.length(ROOM, &file)?.unwrap_or(0);
        let have = marked.min(length).min(manifest.size);
        let synced_at = Instant::now();
        Ok(Part { file, mark, size: manifest.size, written: have, safe: have, synced_at })
    }

    /// Adds bytes to a part. Now and then it makes them safe.
    pub(crate) fn append(&mut self, part: &mut Part, bytes: &[u8]) -> Result<(), AreaError> {
        if part.written == 0 {
            // A file of this name that has no mark may be a second name of one in an area: it is never written over.
            self.storage.remove(ROOM, &part.file)?;
        }
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
        let mark = [part.written.to_be_bytes(), self.now.to_be_bytes()].concat();
        self.storage.replace(ROOM, &part.mark, &mark)?;
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

    /// Throws away every part but those of these packages. Says whether there was one.
    pub(crate) fn keep_only<'a>(
        &mut self,
        wanted: impl IntoIterator<Item = &'a Manifest>,
    ) -> Result<bool, AreaError> {
        let wanted = all_names(wanted);
        self.throw_away(|_, name| Ok(!wanted.contains(name)))
    }

    /// Throws away what came of packages that are not wanted now, as far as nothing is known of it or it has lain here
    /// for too long.
    pub(crate) fn tidy<'a>(
        &mut self,
        wanted: impl IntoIterator<Item = &'a Manifest>,
    ) -> Result<(), AreaError> {
        let wanted = all_names(wanted);
        self.throw_away(|areas, name| {
            let mark =
                name.as_str().strip_prefix(PART).and_then(|of| FileName::new(&format!("{MARK_OF}{of}")));
            let mark = mark.unwrap_or_else(|| name.clone());
            let fresh = |(_, when): (u64, i64)| (areas.now.saturating_sub(KEEP)..=areas.now).contains(&when);
            Ok(!wanted.contains(name) && !areas.mark(&mark)?.is_some_and(fresh))
        })
        .map(drop)
    }

    /// Says what time it is, for the marks of parts and for how long they stay.
    pub(crate) fn set_time(&mut self, now: i64) {
        self.now = now;
    }

    fn throw_away(
        &mut self,
        is_garbage: impl Fn(&Areas, &FileName) -> Result<bool, AreaError>,
    ) -> Result<bool, AreaError> {
        let mut garbage = Vec::new();
        for name in self.storage.list(ROOM)? {
            if is_garbage(self, &name)? {
                garbage.push(name);
            }
        }
        // Marks stand before parts: a power cut in between leaves a part without a mark, which is nothing.
        garbage.sort();
        for name in &garbage {
            self.storage.remove(ROOM, name)?;
        }
        if !garbage.is_empty() {
            self.storage.settle(ROOM)?;
        }
        Ok(!garbage.is_empty())
    }

    /// Offset and time of a mark.
    fn mark(&self, mark: &FileName) -> Result<Option<(u64, i64)>, AreaError> {
        let bytes = read_whole(self.storage.as_ref(), ROOM, mark, MARK)?.unwrap_or_default();
        let Some((offset, when)) = bytes.split_first_chunk() else { return Ok(None) };
        Ok(when.try_into().ok().map(|when| (u64::from_be_bytes(*offset), i64::from_be_bytes(when))))
    }
}

fn all_names<'a>(manifests: impl IntoIterator<Item = &'a Manifest>) -> Vec<FileName> {
    manifests.into_iter().map(names).flat_map(|(file, mark)| [file, mark]).collect()
}

fn names(manifest: &Manifest) -> (FileName, FileName) {
    let of = manifest.signed_bytes();
    (FileName::digest("part", &of), FileName::digest("mark", &of))
}
