//! A file of the journal: its head, reading it to its end, appending.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};

use super::{
    Damage, JournalError,
    frame::{self, Link, MAX_RECORD, RECORD_HEAD_LEN, RecordHead, TAG_LEN, Tag},
    key::{ID_LEN, Key, random},
    mark::Mark,
    record::Record,
};
use crate::{Error, files};

const MAGIC: &[u8; 8] = b"KFJRNL01";
/// What the head says, without nonce and tag.
const SAID_LEN: usize = MAGIC.len() + ID_LEN + 4 + 8 + 8 + TAG_LEN;
/// Bytes of a file's head.
pub(super) const FILE_HEAD_LEN: usize = SAID_LEN + NONCE_LEN + TAG_LEN;
/// Read at once, bytes.
const BUFFER: usize = 1 << 20;

/// What a file's head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHead {
    /// The file's number, from 1.
    pub(super) file: u32,
    /// When it was made, unix seconds.
    pub(super) made: i64,
    /// The number of its first record, and the last tag of the file before it; zeros in the first.
    pub(super) after: Link,
    /// The tag of the head itself, to which the first record is bound.
    pub(super) tag: Tag,
}

impl FileHead {
    /// Where the file's first record stands.
    pub(super) fn first(&self) -> Link {
        Link { number: self.after.number, before: self.tag }
    }

    /// Makes a file that holds nothing yet; it is whole on disk when this returns.
    pub(super) fn create(path: &Path, key: &Key, file: u32, made: i64, after: Link) -> Result<(), Error> {
        let mut bytes = Vec::with_capacity(FILE_HEAD_LEN);
        bytes.extend(MAGIC);
        bytes.extend(key.id);
        bytes.extend(file.to_le_bytes());
        bytes.extend(made.to_le_bytes());
        bytes.extend(after.number.to_le_bytes());
        bytes.extend(after.before);
        let mut nonce = [0; NONCE_LEN];
        random(&mut nonce)?;
        let tag = key
            .cipher
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bytes.as_slice()),
                &mut [],
            )
            .map_err(|_| JournalError::Crypto("the head of a file could not be sealed"))?;
        bytes.extend(nonce);
        bytes.extend(tag.as_ref());
        files::write_whole(path, &bytes)
    }

    fn read(bytes: &[u8; FILE_HEAD_LEN], key: &Key) -> Result<FileHead, Damage> {
        let parse = || {
            let (said, rest) = bytes.split_first_chunk::<SAID_LEN>()?;
            let (nonce, tag) = rest.split_first_chunk::<NONCE_LEN>()?;
            let fields = said.strip_prefix(MAGIC)?;
            let (id, fields) = fields.split_first_chunk::<ID_LEN>()?;
            let (file, fields) = fields.split_first_chunk::<4>()?;
            let (made, fields) = fields.split_first_chunk::<8>()?;
            let (number, before) = fields.split_first_chunk::<8>()?;
            let head = FileHead {
                file: u32::from_le_bytes(*file),
                made: i64::from_le_bytes(*made),
                after: Link { number: u64::from_le_bytes(*number), before: before.try_into().ok()? },
                tag: tag.try_into().ok()?,
            };
            Some((said, *id, *nonce, head))
        };
        let (said, id, nonce, head) = parse().ok_or(Damage::Head)?;
        if id != key.id {
            return Err(Damage::OtherJournal);
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.cipher
            .open_in_place(nonce, Aad::from(said.as_slice()), &mut head.tag.to_vec())
            .map_err(|_| Damage::Head)?;
        Ok(head)
    }
}

/// Where a record lies, for reading it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) link: Link,
    pub(super) offset: u64,
}

/// An open file of the journal.
pub(super) struct JournalFile {
    pub(super) path: PathBuf,
    file: File,
    pub(super) head: FileHead,
    /// Bytes of whole records, and the head.
    pub(super) length: u64,
    /// Where the next record stands.
    pub(super) next: Link,
}

/// What reading found behind the last sound record.
enum Found {
    Record(Box<Record>, Tag),
    End,
    Torn,
    Damaged(Damage, Option<Tag>),
}

impl JournalFile {
    /// Opens a file and reads its head.
    pub(super) fn open(path: &Path, key: &Key, number: u32) -> Result<JournalFile, Error> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(Error::file("open", path))?;
        let mut bytes = [0; FILE_HEAD_LEN];
        let damaged =
            |damage| Error::from(JournalError::Damaged { path: path.to_owned(), record: 0, damage });
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            // A file's head is whole before the file has its name.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(damaged(Damage::Head)),
            Err(error) => return Err(Error::file("read", path)(error)),
        }
        let head = FileHead::read(&bytes, key).map_err(damaged)?;
        if head.file != number {
            return Err(damaged(Damage::Head));
        }
        let length = FILE_HEAD_LEN as u64;
        Ok(JournalFile { path: path.to_owned(), file, head, length, next: head.first() })
    }

    /// Reads every record in order. What a crash cut off the end is taken away: it had not been said to be kept.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] at the first record that is not sound.
    pub(super) fn read_all(
        &mut self,
        key: &Key,
        mark: Option<Mark>,
        take: &mut dyn FnMut(Record, Place),
    ) -> Result<(), Error> {
        match self.scan(key, mark, take, false)? {
            Some(damage) => {
                Err(JournalError::Damaged { path: self.path.clone(), record: self.next.number, damage }
                    .into())
            }
            None => self.cut(),
        }
    }

    /// Reads every record, and changes nothing: a file that others follow, or that was opened before, has no torn end.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] at the first record that is not sound.
    pub(super) fn check_all(&mut self, key: &Key, take: &mut dyn FnMut(Record, Place)) -> Result<(), Error> {
        let damage = self.scan(key, None, take, false)?;
        let end = self.file.metadata().map_err(Error::file("read", &self.path))?.len();
        match damage.or((end != self.length).then_some(Damage::Cut)) {
            Some(damage) => {
                Err(JournalError::Damaged { path: self.path.clone(), record: self.next.number, damage }
                    .into())
            }
            None => Ok(()),
        }
    }

    /// Reads what is sound, past damaged records where the ones behind them can be found.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn read_sound(
        &mut self,
        key: &Key,
        take: &mut dyn FnMut(Record, Place),
    ) -> Result<Option<Damage>, Error> {
        self.scan(key, None, take, true)
    }

    fn scan(
        &mut self,
        key: &Key,
        mark: Option<Mark>,
        take: &mut dyn FnMut(Record, Place),
        skip: bool,
    ) -> Result<Option<Damage>, Error> {
        let unreadable = Error::file("read", &self.path);
        let mut read = || -> io::Result<Option<Damage>> {
            let end = self.file.metadata()?.len();
            self.file.seek(SeekFrom::Start(self.length))?;
            let mut reader = BufReader::with_capacity(BUFFER, &self.file);
            let mut body = Vec::new();
            let mut worst = None;
            loop {
                let place = Place { link: self.next, offset: self.length };
                let on_disk = mark.is_some_and(|mark| mark.number >= place.link.number);
                match find(&mut reader, &mut body, key, place, end - self.length)? {
                    Found::Record(record, tag) => {
                        if mark.is_some_and(|mark| mark.number == place.link.number && mark.tag != tag) {
                            return Ok(Some(Damage::Record));
                        }
                        self.length += (RECORD_HEAD_LEN + body.len()) as u64;
                        self.next = place.link.next(tag);
                        take(*record, place);
                    }
                    Found::End if on_disk => return Ok(Some(Damage::Cut)),
                    Found::Torn if on_disk => return Ok(Some(Damage::Cut)),
                    Found::End | Found::Torn => return Ok(worst),
                    Found::Damaged(damage, Some(tag)) if skip => {
                        worst = worst.or(Some(damage));
                        self.length += (RECORD_HEAD_LEN + body.len()) as u64;
                        self.next = place.link.next(tag);
                    }
                    Found::Damaged(damage, _) => return Ok(worst.or(Some(damage))),
                }
            }
        };
        read().map_err(unreadable)
    }

    /// Takes away what is behind the last whole record.
    fn cut(&mut self) -> Result<(), Error> {
        let cut = || {
            if self.file.metadata()?.len() != self.length {
                self.file.set_len(self.length)?;
                self.file.sync_all()?;
            }
            Ok(())
        };
        cut().map_err(|source| JournalError::Write { path: self.path.clone(), source }.into())
    }

    /// Appends a record, which is on disk when this returns; after an error it is not in the journal.
    ///
    /// # Errors
    /// [`JournalError::Write`]; [`JournalError::Broken`] when what is on the disk is not known any more.
    pub(super) fn append(&mut self, key: &Key, record: &Record) -> Result<Place, Error> {
        let text = postcard::to_stdvec(record)
            .map_err(|_| JournalError::Crypto("a record could not be written down"))?;
        let (bytes, tag) = frame::seal(&key.cipher, self.next, &text)?;
        let written = self.file.write_all_at(&bytes, self.length);
        if let Err(source) = written {
            // A full disk: with the half record gone all is as before.
            return match self.cut() {
                Ok(()) => Err(JournalError::Write { path: self.path.clone(), source }.into()),
                Err(_) => Err(JournalError::Broken { path: self.path.clone() }.into()),
            };
        }
        if self.file.sync_data().is_err() {
            // After this the system may forget what it could not write, and call the next attempt a success.
            let _ = self.cut();
            return Err(JournalError::Broken { path: self.path.clone() }.into());
        }
        let place = Place { link: self.next, offset: self.length };
        self.length += bytes.len() as u64;
        self.next = self.next.next(tag);
        Ok(place)
    }

    /// Reads one record again.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] when it is no longer what it was; [`Error::File`].
    pub(super) fn read(&self, key: &Key, place: Place) -> Result<Record, Error> {
        let damaged = || JournalError::Damaged {
            path: self.path.clone(),
            record: place.link.number,
            damage: Damage::Record,
        };
        let unreadable = || Error::file("read", &self.path);
        let mut head = [0; RECORD_HEAD_LEN];
        self.file.read_exact_at(&mut head, place.offset).map_err(unreadable())?;
        let head = RecordHead::read(&head, place.link).ok_or_else(damaged)?;
        let mut body = vec![0; head.body()];
        self.file.read_exact_at(&mut body, place.offset + RECORD_HEAD_LEN as u64).map_err(unreadable())?;
        let text = head.open(&key.cipher, place.link, &mut body).ok_or_else(damaged)?;
        Ok(postcard::from_bytes(text).map_err(|_| damaged())?)
    }
}

/// Reads the record in this place, of which `left` bytes of the file are left.
fn find(reader: &mut impl Read, body: &mut Vec<u8>, key: &Key, place: Place, left: u64) -> io::Result<Found> {
    body.clear();
    if left == 0 {
        return Ok(Found::End);
    }
    if left < RECORD_HEAD_LEN as u64 {
        return Ok(Found::Torn);
    }
    let mut bytes = [0; RECORD_HEAD_LEN];
    reader.read_exact(&mut bytes)?;
    let Some(head) = RecordHead::read(&bytes, place.link) else {
        // The last record may be there without its head.
        let rest_limit = (RECORD_HEAD_LEN + MAX_RECORD + TAG_LEN) as u64;
        let mut rest = bytes.to_vec();
        reader.take(rest_limit).read_to_end(&mut rest)?;
        let torn = rest.len() as u64 == left && only_zeros_behind(&rest, place.offset);
        return Ok(if torn { Found::Torn } else { Found::Damaged(Damage::Record, None) });
    };
    if left < (RECORD_HEAD_LEN + head.body()) as u64 {
        return Ok(Found::Torn);
    }
    body.resize(head.body(), 0);
    reader.read_exact(body)?;
    let last = left == (RECORD_HEAD_LEN + head.body()) as u64;
    // Opening changes the bytes, and so what was never written is looked for first.
    let unwritten = last && frame::has_unwritten_sector(body, place.offset + RECORD_HEAD_LEN as u64);
    let tag = body.last_chunk::<TAG_LEN>().copied().unwrap_or_default();
    Ok(match head.open(&key.cipher, place.link, body) {
        Some(text) => match postcard::from_bytes(text) {
            Ok(record) => Found::Record(Box::new(record), tag),
            Err(_) => Found::Damaged(Damage::Meaning, Some(tag)),
        },
        None if unwritten => Found::Torn,
        None => Found::Damaged(Damage::Record, Some(tag)),
    })
}

/// Whether a crash left only the begin of a record: zeros from some sector on, or from its first byte.
fn only_zeros_behind(bytes: &[u8], offset: u64) -> bool {
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    written == 0 || (written < RECORD_HEAD_LEN && frame::has_unwritten_sector(bytes, offset))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use zeroize::Zeroizing;

    use super::*;
    use crate::journal::record::Dropped;

    /// A file that cannot be written any more, as on a disk that is full or has failed.
    fn unwritable() -> (tempfile::TempDir, Key, JournalFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000001.journal");
        let key = Key::of([1; ID_LEN], Zeroizing::new([1; 32])).unwrap();
        FileHead::create(&path, &key, 1, 0, Link { number: 1, before: [0; TAG_LEN] }).unwrap();
        let mut file = JournalFile::open(&path, &key, 1).unwrap();
        file.append(&key, &record()).unwrap();
        file.file = File::open(&path).unwrap();
        (folder, key, file)
    }

    fn record() -> Record {
        Record::Dropped(Dropped { at: 0, answers: vec![], packages: vec![], why: "a test".to_owned() })
    }

    #[test]
    fn a_record_that_cannot_be_written_is_refused_and_all_is_as_before() {
        let (_folder, key, mut file) = unwritable();
        let (length, next) = (file.length, file.next);
        let refused = file.append(&key, &record());
        assert!(matches!(refused, Err(Error::Journal(JournalError::Write { .. }))), "{refused:?}");
        assert_eq!((file.length, file.next), (length, next));
        // With a disk that works again it goes on where it was.
        file.file = OpenOptions::new().read(true).write(true).open(&file.path).unwrap();
        file.append(&key, &record()).unwrap();
        let mut again = JournalFile::open(&file.path, &key, 1).unwrap();
        let mut read = 0;
        again.read_all(&key, None, &mut |_, _| read += 1).unwrap();
        assert_eq!(read, 2);
    }

    #[test]
    fn half_a_record_that_cannot_be_taken_away_breaks_the_journal() {
        let (_folder, key, mut file) = unwritable();
        let mut bytes = fs::read(&file.path).unwrap();
        bytes.extend([7; 10]);
        fs::write(&file.path, bytes).unwrap();
        let refused = file.append(&key, &record());
        assert!(matches!(refused, Err(Error::Journal(JournalError::Broken { .. }))), "{refused:?}");
    }
}
