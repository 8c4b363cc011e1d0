//! Files that follow each other.

use std::fs;

use super::*;

#[test]
fn a_file_in_which_something_is_open_is_not_followed() {
    let case = Case::new();
    let journal = case.open().unwrap();
    append(&journal, day());
    journal.begin_file(0).unwrap();
    assert!(!case.file(2).exists());
    append(&journal, vec![dropped(&[6], &[])]);
    journal.begin_file(1 << 40).unwrap();
    assert!(!case.file(2).exists(), "it is not long enough");
    journal.begin_file(0).unwrap();
    assert!(case.file(2).exists());
    journal.begin_file(0).unwrap();
    assert!(!case.file(3).exists(), "an empty one is not followed");
}

/// A journal of two files, the second with a run.
fn two() -> Case {
    let case = Case::new();
    let journal = case.open().unwrap();
    append(&journal, day());
    append(&journal, vec![dropped(&[6], &[])]);
    journal.begin_file(0).unwrap();
    append(&journal, vec![run(), collected(8, "SN-9")]);
    case
}

#[test]
fn the_new_file_goes_on_from_the_old_one() {
    let case = two();
    let journal = case.open().unwrap();
    assert_eq!(serials(&journal), ["SN-9"]);
    assert_eq!(journal.unpacked()[0].run, 8);
    let checked = journal.check().unwrap();
    assert_eq!((checked.files, checked.records), (2, 9));
    drop(journal);
    // The newest is gone.
    fs::rename(case.file(2), case.folder.path().join("away")).unwrap();
    assert!(matches!(case.damage(), (8, Damage::Cut)));
}

#[test]
fn a_changed_or_shortened_old_file_is_found_by_checking() {
    let case = two();
    let whole = case.bytes();
    let check = |bytes: &[u8]| {
        fs::write(case.path(), bytes).unwrap();
        match case.open().unwrap().check() {
            Err(Error::Journal(JournalError::Damaged { record, damage, .. })) => (record, damage),
            other => panic!("{other:?}"),
        }
    };
    let mut changed = whole.clone();
    changed[400] ^= 1;
    assert!(matches!(check(&changed), (_, Damage::Record)));
    assert_eq!(check(&whole[..whole.len() - 1]), (7, Damage::Cut));
    // One of three is gone.
    fs::write(case.path(), &whole).unwrap();
    let journal = case.open().unwrap();
    append(&journal, vec![dropped(&[9], &[])]);
    journal.begin_file(0).unwrap();
    fs::remove_file(case.file(2)).unwrap();
    assert!(matches!(
        journal.check(),
        Err(Error::Journal(JournalError::Damaged { damage: Damage::File, .. }))
    ));
}

#[test]
fn old_files_are_forgotten_from_before_a_time_and_the_newest_stays() {
    let case = two();
    let journal = case.open().unwrap();
    assert_eq!(journal.forget_before(1).unwrap(), 0);
    assert!(case.file(1).exists());
    assert_eq!(journal.forget_before(i64::MAX).unwrap(), 1);
    assert!(!case.file(1).exists() && case.file(2).exists());
    assert_eq!(journal.check().unwrap().files, 1);
    drop(journal);
    assert_eq!(serials(&case.open().unwrap()), ["SN-9"]);
}
