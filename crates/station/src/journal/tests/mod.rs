//! The journal's files under every kind of harm. Keys are made directly: stretching a passphrase takes time by design.

mod crashes;
mod damage;
mod growth;
mod rescue;

use std::{fs, path::PathBuf};

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{
    Damage, Journal, JournalError, Queued, folder,
    key::{ID_LEN, Key},
    record::{Answer, Collected, Digest, Dropped, Package, Person, Record, Run, Taken},
};
use crate::Error;

/// A folder with the key of its journal.
struct Case {
    folder: TempDir,
    key: u8,
}

impl Case {
    fn new() -> Case {
        Case::of(1)
    }

    /// Journals of different numbers have different keys.
    fn of(key: u8) -> Case {
        Case { folder: tempfile::tempdir().unwrap(), key }
    }

    fn open(&self) -> Result<Journal, Error> {
        let key = Key::of([self.key; ID_LEN], Zeroizing::new([self.key; 32])).unwrap();
        folder::opened(self.folder.path(), key, folder::lock(self.folder.path())?)
    }

    fn path(&self) -> PathBuf {
        self.file(1)
    }

    fn file(&self, number: u32) -> PathBuf {
        folder::path(self.folder.path(), number)
    }

    fn mark(&self) -> PathBuf {
        self.folder.path().join("mark")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    /// What opening says is wrong.
    fn damage(&self) -> (u64, Damage) {
        match self.open() {
            Err(Error::Journal(JournalError::Damaged { record, damage, .. })) => (record, damage),
            other => panic!("{other:?}"),
        }
    }
}

fn run() -> Record {
    let person = |name: &str| Person { name: name.to_owned(), key: [1; 32] };
    Record::Run(Run {
        at: 1,
        suite: 1,
        work_certificate_sha256: "00".repeat(32),
        ceremony: None,
        replaces: false,
        operator: person("Op"),
        administrator: person("Adm"),
    })
}

fn collected(run: u64, sn: &str) -> Record {
    Record::Collected(Collected {
        run,
        at: 2,
        target: "till:7802".to_owned(),
        sn: sn.to_owned(),
        fingerprint: "0123456789ABCDEF0123".to_owned(),
        frame: vec![0xC7; 40],
    })
}

fn package(run: u64, answers: &[u64], byte: u8) -> Record {
    let terminals = u32::try_from(answers.len()).unwrap();
    Record::Package(Package { run, at: 3, terminals, answers: answers.to_vec(), cms: vec![byte; 60] })
}

fn digest(byte: u8) -> Digest {
    use sha2::Digest as _;
    sha2::Sha256::digest([byte; 60]).into()
}

fn answer(byte: u8) -> Record {
    let taken = Some(Taken { refused: 0, alarms: 0, body: b"{}".to_vec() });
    Record::Answer(Answer { package: digest(byte), at: 4, taken })
}

fn dropped(answers: &[u64], packages: &[u8]) -> Record {
    let packages = packages.iter().map(|byte| digest(*byte)).collect();
    Record::Dropped(Dropped { at: 5, answers: answers.to_vec(), packages, why: "a test".to_owned() })
}

/// A day: two terminals collected and packed, the package answered, a third collected.
fn day() -> Vec<Record> {
    vec![
        run(),
        collected(1, "SN-1"),
        collected(1, "SN-2"),
        package(1, &[2, 3], 7),
        answer(7),
        collected(1, "SN-3"),
    ]
}

/// Appends records; gives the length of the file after each.
fn append(journal: &Journal, records: Vec<Record>) -> Vec<u64> {
    let append = |record| {
        journal.append(record).unwrap();
        journal.overview().bytes
    };
    records.into_iter().map(append).collect()
}

fn serials(journal: &Journal) -> Vec<String> {
    let runs = journal.unpacked();
    runs.iter().flat_map(|run| run.terminals.iter().map(|(sn, _)| sn.to_string())).collect()
}

fn names(waiting: &[Queued]) -> Vec<Digest> {
    waiting.iter().map(|queued| queued.name.0).collect()
}

#[test]
fn what_was_written_is_there_when_it_is_opened_again() {
    let case = Case::new();
    append(&case.open().unwrap(), day());
    let journal = case.open().unwrap();
    assert_eq!(serials(&journal), ["SN-3"]);
    assert!(journal.waiting().is_empty());
    assert_eq!(journal.answered().len(), 1);
    append(&journal, vec![package(1, &[6], 8)]);
    assert!(serials(&journal).is_empty());
    drop(journal);
    let journal = case.open().unwrap();
    assert_eq!(names(&journal.waiting()), [digest(8)]);
    assert_eq!(journal.check().unwrap().records, 7);
}

#[test]
fn an_answer_of_a_later_run_takes_the_place_of_earlier_ones_and_of_the_same_run_does_not() {
    let case = Case::new();
    let journal = case.open().unwrap();
    append(&journal, vec![run(), collected(1, "SN-1"), collected(1, "SN-1"), collected(1, "SN-2"), run()]);
    assert_eq!(serials(&journal), ["SN-1", "SN-1", "SN-2"]);
    append(&journal, vec![collected(5, "SN-1")]);
    let runs: Vec<_> = journal.unpacked().iter().map(|run| (run.run, run.terminals.len())).collect();
    assert_eq!(runs, [(1, 1), (5, 1)]);
    append(&journal, vec![dropped(&[4], &[])]);
    assert_eq!(serials(&journal), ["SN-1"]);
}

#[test]
fn a_package_is_answered_once_and_a_dropped_one_does_not_wait() {
    let case = Case::new();
    let journal = case.open().unwrap();
    append(
        &journal,
        vec![package(0, &[], 1), package(0, &[], 2), answer(1), answer(1), dropped(&[], &[1, 2])],
    );
    assert!(journal.waiting().is_empty());
    assert_eq!(journal.answered().len(), 1);
    assert_eq!(journal.answered()[0].package.name.0, digest(1));
}

#[test]
fn a_journal_that_broke_takes_nothing_until_it_is_opened_again() {
    let case = Case::new();
    let journal = case.open().unwrap();
    append(&journal, day());
    // As a thread leaves it that failed while it wrote.
    journal.lock().broken = true;
    let refused = journal.append(run());
    assert!(matches!(refused, Err(Error::Journal(JournalError::Broken { .. }))), "{refused:?}");
    assert_eq!(serials(&journal), ["SN-3"], "what was there is shown");
    drop(journal);
    append(&case.open().unwrap(), vec![run()]);
}
