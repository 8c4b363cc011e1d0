//! Records as bytes: sealed, chained, and told from what a crash cut off.

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use sha2::{Digest, Sha256};

use super::{JournalError, key::random};
use crate::Error;

/// Bytes of a GCM tag.
pub(super) const TAG_LEN: usize = 16;
/// Length, nonce and check.
pub(super) const RECORD_HEAD_LEN: usize = 4 + NONCE_LEN + CHECK_LEN;
/// The longest text of a record, bytes: a package, and what is said about it.
pub(super) const MAX_RECORD: usize = pki::cms::MAX_PACKAGE_LEN + 256 * 1024;

const CHECK_LEN: usize = 8;
const CHECK: &[u8; 8] = b"KFJ head";
const SEALED: &[u8; 8] = b"KFJ text";
/// Disks write whole sectors: of a record that was not written to its end, some sector is zero.
const SECTOR: usize = 512;
/// Zeros at the begin or end of a record that lie in a sector of their own; fewer than these may be chance.
const FEWEST_ZEROS: usize = 4;

/// A GCM tag: each record is bound to the one before.
pub(super) type Tag = [u8; TAG_LEN];

/// Where in the chain a record stands: its number, and the tag before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) before: Tag,
}

impl Link {
    /// Where the record behind the one with this tag stands.
    pub(super) fn next(self, tag: Tag) -> Link {
        Link { number: self.number.saturating_add(1), before: tag }
    }

    /// What a record in this place has beside its text.
    fn aad(self, length: u32) -> [u8; 8 + 8 + TAG_LEN + 4] {
        let mut aad = [0; 8 + 8 + TAG_LEN + 4];
        let parts: [&[u8]; 4] = [SEALED, &self.number.to_le_bytes(), &self.before, &length.to_le_bytes()];
        let mut rest = &mut aad[..];
        for part in parts {
            let (place, behind) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = behind;
        }
        aad
    }

    fn check(self, length: [u8; 4], nonce: [u8; NONCE_LEN]) -> [u8; CHECK_LEN] {
        let sum = Sha256::new()
            .chain_update(CHECK)
            .chain_update(self.number.to_le_bytes())
            .chain_update(self.before)
            .chain_update(length)
            .chain_update(nonce)
            .finalize();
        let mut check = [0; CHECK_LEN];
        check.copy_from_slice(sum.get(..CHECK_LEN).unwrap_or(&[0; CHECK_LEN]));
        check
    }
}

/// A record's head that fits its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordHead {
    nonce: [u8; NONCE_LEN],
    length: u32,
}

impl RecordHead {
    /// Reads one, if it belongs here.
    pub(super) fn read(bytes: &[u8; RECORD_HEAD_LEN], link: Link) -> Option<RecordHead> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (nonce, check) = rest.split_first_chunk::<NONCE_LEN>()?;
        let number = u32::from_le_bytes(*length);
        let sound = link.check(*length, *nonce) == *check && usize::try_from(number).ok()? <= MAX_RECORD;
        sound.then_some(RecordHead { nonce: *nonce, length: number })
    }

    /// Bytes of text and tag behind the head.
    pub(super) fn body(&self) -> usize {
        self.length as usize + TAG_LEN
    }

    /// Opens text and tag in place; gives the text.
    pub(super) fn open<'a>(&self, key: &LessSafeKey, link: Link, body: &'a mut [u8]) -> Option<&'a [u8]> {
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        key.open_in_place(nonce, Aad::from(link.aad(self.length)), body).ok().map(|text| &*text)
    }
}

/// Seals a text for this place; gives the whole record, and its tag.
pub(super) fn seal(key: &LessSafeKey, link: Link, text: &[u8]) -> Result<(Vec<u8>, Tag), Error> {
    let too_long = || JournalError::TooLong { found: text.len(), max: MAX_RECORD };
    let length = u32::try_from(text.len()).map_err(|_| too_long())?;
    if text.len() > MAX_RECORD {
        return Err(too_long().into());
    }
    // Random, because a number would come again after a record that a crash cut off.
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce)?;
    let mut record = Vec::with_capacity(RECORD_HEAD_LEN + text.len() + TAG_LEN);
    record.extend(length.to_le_bytes());
    record.extend(nonce);
    record.extend(link.check(length.to_le_bytes(), nonce));
    let mut sealed = text.to_vec();
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(link.aad(length)),
            &mut sealed,
        )
        .map_err(|_| JournalError::Crypto("a record could not be sealed"))?;
    record.extend_from_slice(&sealed);
    record.extend_from_slice(tag.as_ref());
    let tag = tag.as_ref().try_into().map_err(|_| JournalError::Crypto("a tag has another length"))?;
    Ok((record, tag))
}

/// Whether some sector of these bytes, which begin at `offset` of the file, was never written.
pub(super) fn has_unwritten_sector(bytes: &[u8], offset: u64) -> bool {
    let begin = usize::try_from(offset % SECTOR as u64).unwrap_or(0);
    let first = (SECTOR - begin).min(bytes.len());
    let (head, rest) = bytes.split_at(first);
    std::iter::once(head)
        .chain(rest.chunks(SECTOR))
        .any(|piece| piece.len() >= FEWEST_ZEROS && piece.iter().all(|byte| *byte == 0))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead::{AES_256_GCM, UnboundKey};

    use super::*;

    fn key() -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap())
    }

    const HERE: Link = Link { number: 9, before: [3; TAG_LEN] };

    fn open(record: &[u8], link: Link) -> Option<Vec<u8>> {
        let (head, body) = record.split_first_chunk::<RECORD_HEAD_LEN>()?;
        let head = RecordHead::read(head, link)?;
        head.open(&key(), link, &mut body.to_vec()).map(<[u8]>::to_vec)
    }

    #[test]
    fn a_record_opens_in_its_place_and_in_no_other() {
        let (record, tag) = seal(&key(), HERE, b"text").unwrap();
        assert_eq!(record.len(), RECORD_HEAD_LEN + 4 + TAG_LEN);
        assert!(record.ends_with(&tag));
        assert_eq!(open(&record, HERE).unwrap(), b"text");
        assert!(open(&record, Link { number: 8, ..HERE }).is_none());
        assert!(open(&record, Link { before: [4; TAG_LEN], ..HERE }).is_none());
        for at in 0..record.len() {
            let mut changed = record.clone();
            changed[at] ^= 1;
            assert!(open(&changed, HERE).is_none(), "byte {at}");
        }
    }

    #[test]
    fn no_two_records_have_one_nonce() {
        let nonce = |record: &[u8]| record[4..4 + NONCE_LEN].to_vec();
        let (one, _) = seal(&key(), HERE, b"text").unwrap();
        let (other, _) = seal(&key(), HERE, b"text").unwrap();
        assert_ne!(nonce(&one), nonce(&other));
    }

    #[test]
    fn text_is_taken_up_to_the_limit() {
        assert!(seal(&key(), HERE, &vec![0; MAX_RECORD]).is_ok());
        let refused = seal(&key(), HERE, &vec![0; MAX_RECORD + 1]);
        assert!(matches!(refused, Err(Error::Journal(JournalError::TooLong { .. }))));
    }

    #[test]
    fn a_sector_of_zeros_was_not_written_and_a_byte_of_zero_was() {
        let mut bytes = vec![1; 2000];
        assert!(!has_unwritten_sector(&bytes, 100));
        bytes[500] = 0;
        bytes[0] = 0;
        assert!(!has_unwritten_sector(&bytes, 100));
        // The sector from 512 to 1023 of the file.
        bytes[412..924].fill(0);
        assert!(has_unwritten_sector(&bytes, 100));
        assert!(!has_unwritten_sector(&bytes, 101), "one byte of each sector is not zero");
        let mut tail = vec![1; 2000];
        tail[1996..].fill(0);
        assert!(has_unwritten_sector(&tail, 512 * 4 - 1996));
    }
}
