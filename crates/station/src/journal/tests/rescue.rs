//! Rescue: what is sound goes on.

use std::fs;

use super::{super::rescue::go_on, *};

/// Damages a byte of the record that ends there, and rescues.
fn rescued(case: &Case, at: usize) -> (Journal, PathBuf) {
    let mut bytes = case.bytes();
    bytes[at] ^= 1;
    fs::write(case.path(), bytes).unwrap();
    assert!(matches!(case.damage(), (_, Damage::Record)));
    let key = Key::of([case.key; ID_LEN], Zeroizing::new([case.key; 32])).unwrap();
    let damaged = go_on(case.folder.path(), &key, 1).unwrap();
    (case.open().unwrap(), damaged)
}

#[test]
fn what_is_open_and_sound_is_saved_around_a_damaged_record() {
    let case = Case::new();
    let mut records = day();
    records.push(package(1, &[6], 8));
    records.push(collected(1, "SN-4"));
    records.push(collected(1, "SN-5"));
    let ends = append(&case.open().unwrap(), records);
    let before = case.bytes();
    // A byte of the text of SN-4.
    let (journal, damaged) = rescued(&case, usize::try_from(ends[7]).unwrap() - 30);
    assert_eq!(serials(&journal), ["SN-5"]);
    assert_eq!(names(&journal.waiting()), [digest(8)]);
    let place = journal.lock().state.waiting(&digest(8)).unwrap().place;
    assert!(matches!(journal.read(place).unwrap(), Record::Package(_)));
    assert_eq!(fs::read(&damaged).unwrap().len(), before.len());
    assert!(damaged.ends_with("00000001.journal.damaged"));
    // And it goes on.
    append(&journal, vec![collected(journal.unpacked()[0].run, "SN-6")]);
    drop(journal);
    let journal = case.open().unwrap();
    assert_eq!(serials(&journal), ["SN-5", "SN-6"]);
    journal.check().unwrap();
}

#[test]
fn an_answer_that_is_lost_leaves_its_package_waiting() {
    let case = Case::new();
    let ends = append(&case.open().unwrap(), day());
    let (journal, _) = rescued(&case, usize::try_from(ends[4]).unwrap() - 30);
    assert_eq!(names(&journal.waiting()), [digest(7)]);
    assert_eq!(serials(&journal), ["SN-3"]);
}

#[test]
fn behind_a_damaged_length_nothing_can_be_found_and_what_is_before_is_saved() {
    let case = Case::new();
    let ends = append(&case.open().unwrap(), day());
    let (journal, _) = rescued(&case, usize::try_from(ends[2]).unwrap());
    assert_eq!(serials(&journal), ["SN-1", "SN-2"]);
    assert!(journal.waiting().is_empty());
}

#[test]
fn after_lost_records_at_the_end_the_rest_goes_on() {
    let case = Case::new();
    let ends = append(&case.open().unwrap(), day());
    fs::write(case.path(), &case.bytes()[..usize::try_from(ends[3]).unwrap()]).unwrap();
    assert_eq!(case.damage(), (5, Damage::Cut));
    let key = Key::of([case.key; ID_LEN], Zeroizing::new([case.key; 32])).unwrap();
    go_on(case.folder.path(), &key, 1).unwrap();
    assert_eq!(names(&case.open().unwrap().waiting()), [digest(7)]);
}
