//! The log of refusals: why nothing was made or released, each record chained to the one before (1-systems.md D).
//!
//! It is kept in the PIN pad's sealed state, shown by the terminal's status and told to the server at the next contact
//! (FF23). Where the PIN pad has a certified device key it signs each record; otherwise a server can see that a chain has
//! no gap, not who wrote it.

use std::collections::VecDeque;

use flows::RefusalRecord;
use paycrypto::digest::sha256;
use wire::{BcdTime, Fields, Tag};

/// Records that are kept: the newest. Older ones leave their count and, in the chain, their hash.
pub const KEPT: usize = 256;
/// Records that one message carries at most: together they take less than 6 kB.
pub const REPORTED_AT_ONCE: usize = 32;
/// Longest name of a check, bytes (DF28).
pub const MAX_CHECK: usize = 32;
/// Longest reading, bytes (DF29).
pub const MAX_READING: usize = 64;
/// Bytes of a record's hash: SHA-256.
pub const HASH: usize = 32;
/// Bytes of a record's signature: ECDSA on P-256, r ‖ s.
pub const SIGNATURE: usize = paycrypto::ec::SIGNATURE;

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainedRefusal {
    /// Which check refused: up to 32 ASCII characters.
    pub check: String,
    /// What it read: up to 64 ASCII characters.
    pub reading: String,
    /// When, unix seconds.
    pub when: i64,
    /// SHA-256 over the hash of the record before it and this record; see [`RefusalLog::verify`].
    pub hash: [u8; HASH],
    /// The device key's over [`signed_text`], raw r ‖ s, where the PIN pad had a certified one.
    pub signature: Option<[u8; SIGNATURE]>,
}

/// What a device key signs of a record: its hash, which is over every record before it too.
#[must_use]
pub fn signed_text(pin_pad: &str, hash: &[u8; HASH]) -> Vec<u8> {
    [b"KF refusal ".as_slice(), pin_pad.as_bytes(), &[0], hash].concat()
}

impl ChainedRefusal {
    /// The record as FF23 carries it, without its hash; with its signature (DF16) where it has one.
    #[must_use]
    pub fn fields(&self) -> Fields {
        // A terminal without a clock says that it did not know.
        let when = BcdTime::from_unix(self.when).ok();
        let mut fields =
            RefusalRecord { check: self.check.clone(), reading: self.reading.clone(), when }.fields();
        if let Some(signature) = &self.signature {
            let _ = fields.push(Tag::TRANSCRIPT_SIGNATURE, signature); // a fourth tag and a short value
        }
        fields.ascending()
    }
}

/// The log: a chain of which the newest records are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalLog {
    /// The hash that the oldest kept record is chained to.
    before: [u8; HASH],
    kept: VecDeque<ChainedRefusal>,
    /// How many there ever were.
    total: u64,
    /// How many of them the server knows.
    reported: u64,
}

impl RefusalLog {
    /// The empty log of the PIN pad with this serial, whose chain begins with its serial.
    pub(crate) fn new(serial: &str) -> RefusalLog {
        RefusalLog {
            before: sha256(format!("KF refusals {serial}").as_bytes()),
            kept: VecDeque::new(),
            total: 0,
            reported: 0,
        }
    }

    /// A log as it was stored; nothing where it cannot be.
    pub(crate) fn restore(
        before: [u8; HASH],
        kept: VecDeque<ChainedRefusal>,
        total: u64,
        reported: u64,
    ) -> Option<RefusalLog> {
        let log = RefusalLog { before, kept, total, reported };
        let counts = log.kept.len() <= KEPT && log.kept.len() as u64 <= total && reported <= total;
        (counts && log.verify()).then_some(log)
    }

    /// The hash that the oldest kept record is chained to.
    #[must_use]
    pub fn before(&self) -> [u8; HASH] {
        self.before
    }

    /// The kept records, oldest first.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &ChainedRefusal> {
        self.kept.iter()
    }

    /// The newest record.
    #[must_use]
    pub fn newest(&self) -> Option<&ChainedRefusal> {
        self.kept.back()
    }

    /// How many there ever were, those no longer kept included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many of them the server knows.
    #[must_use]
    pub fn reported(&self) -> u64 {
        self.reported
    }

    /// Hash of the newest record: the end of the chain.
    #[must_use]
    pub fn head(&self) -> [u8; HASH] {
        self.newest().map_or(self.before, |record| record.hash)
    }

    /// Whether every kept record is chained to the one before it.
    #[must_use]
    pub fn verify(&self) -> bool {
        let first = self.total.saturating_sub(self.kept.len() as u64);
        let mut previous = self.before;
        self.kept.iter().zip(first..).all(|(record, number)| {
            let good = hash(&previous, number, &record.check, &record.reading, record.when) == record.hash;
            previous = record.hash;
            good
        })
    }

    /// Adds a record. Texts are made printable ASCII and cut; time never goes back in a chain.
    pub(crate) fn add(&mut self, check: &str, reading: &str, when: i64) {
        let (check, reading) = (ascii(check, MAX_CHECK), ascii(reading, MAX_READING));
        let when = self.newest().map_or(when, |newest| newest.when.max(when));
        let hash = hash(&self.head(), self.total, &check, &reading, when);
        self.kept.push_back(ChainedRefusal { check, reading, when, hash, signature: None });
        self.total = self.total.saturating_add(1);
        if self.kept.len() > KEPT
            && let Some(oldest) = self.kept.pop_front()
        {
            self.before = oldest.hash;
        }
    }

    /// Puts the device key's signature on the newest record.
    pub(crate) fn sign_newest(&mut self, signature: [u8; SIGNATURE]) {
        if let Some(newest) = self.kept.back_mut() {
            newest.signature = Some(signature);
        }
    }

    /// The oldest records that the server does not know yet, as many as one message carries, and how many it knows
    /// then.
    #[must_use]
    pub fn unreported(&self) -> (Vec<ChainedRefusal>, u64) {
        let first = self.total.saturating_sub(self.kept.len() as u64);
        let known = usize::try_from(self.reported.saturating_sub(first)).unwrap_or(usize::MAX);
        let records: Vec<_> = self.kept.iter().skip(known).take(REPORTED_AT_ONCE).cloned().collect();
        let then = self.reported.max(first).saturating_add(records.len() as u64);
        (records, then)
    }

    /// Remembers how many the server knows; says whether that is new.
    pub(crate) fn report(&mut self, known: u64) -> bool {
        let known = known.min(self.total);
        let new = known > self.reported;
        self.reported = self.reported.max(known);
        new
    }
}

/// What a record's hash is over: each text with its length before it, so that no two records look alike.
fn hash(previous: &[u8; HASH], number: u64, check: &str, reading: &str, when: i64) -> [u8; HASH] {
    let mut bytes = Vec::with_capacity(160);
    bytes.extend_from_slice(previous);
    bytes.extend_from_slice(&number.to_be_bytes());
    for text in [check, reading] {
        bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.extend_from_slice(&when.to_be_bytes());
    sha256(&bytes)
}

fn ascii(text: &str, max: usize) -> String {
    text.chars().map(|c| if c.is_ascii() && !c.is_control() { c } else { '?' }).take(max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(count: usize) -> RefusalLog {
        let mut log = RefusalLog::new("SN-1");
        for number in 0..count {
            log.add("lid", &format!("reading {number}"), 1_700_000_000 + i64::try_from(number).unwrap());
        }
        log
    }

    #[test]
    fn every_change_breaks_the_chain() {
        type Change = fn(&mut RefusalLog);
        let changes: [Change; 7] = [
            |log| log.kept[1].check = "lib".into(),
            |log| log.kept[1].reading.push('0'),
            |log| log.kept[1].when += 1,
            |log| log.kept[1].hash[0] ^= 1,
            |log| drop(log.kept.remove(1)),
            |log| log.kept.swap(0, 1),
            |log| log.before[0] ^= 1,
        ];
        assert!(log(3).verify());
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = log(3);
            change(&mut changed);
            assert!(!changed.verify(), "{number}");
        }
    }

    #[test]
    fn a_text_cannot_move_from_check_to_reading() {
        let (mut a, mut b) = (RefusalLog::new("SN-1"), RefusalLog::new("SN-1"));
        a.add("lid", "open", 1);
        b.add("lido", "pen", 1);
        assert_ne!(a.head(), b.head());
    }

    #[test]
    fn the_newest_256_are_kept_and_the_rest_counted_and_chained() {
        let log = log(KEPT + 10);
        assert_eq!((log.records().len(), log.total()), (KEPT, KEPT as u64 + 10));
        assert_eq!(log.records().next().unwrap().reading, "reading 10");
        assert!(log.verify());
        assert_eq!(log.before(), self::log(10).head());
    }

    #[test]
    fn records_are_reported_once_oldest_first_and_in_portions() {
        let mut log = log(REPORTED_AT_ONCE + 5);
        let (first, then) = log.unreported();
        assert_eq!((first.len(), then), (REPORTED_AT_ONCE, REPORTED_AT_ONCE as u64));
        assert_eq!(first[0].reading, "reading 0");
        // Not before the server has them.
        assert_eq!(log.unreported().0, first);
        assert!(log.report(then));
        let (second, then) = log.unreported();
        assert_eq!(second.len(), 5);
        assert!(log.report(then));
        assert!(!log.report(then));
        assert!(log.unreported().0.is_empty());
    }

    #[test]
    fn records_that_were_dropped_before_they_were_told_are_skipped() {
        let (records, then) = log(KEPT + 10).unreported();
        assert_eq!(records[0].reading, "reading 10");
        assert_eq!(then, 10 + REPORTED_AT_ONCE as u64);
    }

    #[test]
    fn texts_are_ascii_and_cut() {
        let mut log = RefusalLog::new("SN-1");
        log.add(&"c".repeat(40), &format!("é\n{}", "r".repeat(80)), 0);
        let record = log.newest().unwrap();
        assert_eq!((record.check.len(), record.reading.len()), (MAX_CHECK, MAX_READING));
        assert!(record.reading.starts_with("??r"));
        assert_eq!(RefusalRecord::read(&record.fields()).unwrap().when, None);
    }

    #[test]
    fn time_never_goes_back_in_a_chain() {
        let mut log = log(2);
        log.add("lid", "open", 5);
        assert_eq!(log.newest().unwrap().when, 1_700_000_001);
    }
}
