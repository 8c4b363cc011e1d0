//! Harm that is no crash: it is refused by name, and nothing is changed.

use std::fs;

use super::*;

/// The records' bytes, the head first.
fn parts(case: &Case, ends: &[u64]) -> Vec<Vec<u8>> {
    let bytes = case.bytes();
    let mut begin = 0;
    let head = u64::try_from(super::super::file::FILE_HEAD_LEN).unwrap();
    let ends = std::iter::once(&head).chain(ends);
    ends.map(|end| {
        let end = usize::try_from(*end).unwrap();
        let part = bytes[begin..end].to_vec();
        begin = end;
        part
    })
    .collect()
}

fn written() -> (Case, Vec<Vec<u8>>) {
    let case = Case::new();
    let ends = append(&case.open().unwrap(), day());
    let parts = parts(&case, &ends);
    (case, parts)
}

#[test]
fn one_byte_changed_anywhere_is_refused_by_name() {
    let (case, parts) = written();
    let bytes = case.bytes();
    let mut begin = 0;
    for (part, text) in parts.iter().enumerate() {
        for at in begin..begin + text.len() {
            for flip in [0x01, 0x80] {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                fs::write(case.path(), &changed).unwrap();
                let (record, damage) = case.damage();
                let expected = match part {
                    0 if (8..24).contains(&at) => Damage::OtherJournal,
                    0 => Damage::Head,
                    _ => Damage::Record,
                };
                assert_eq!((record, damage), (part as u64, expected), "byte {at}");
                assert_eq!(case.bytes(), changed, "nothing was changed");
            }
        }
        begin += text.len();
    }
}

#[test]
fn a_record_taken_out_moved_doubled_or_put_in_is_refused_with_its_number() {
    let (case, parts) = written();
    let refused = |order: &[usize]| {
        let bytes: Vec<u8> = order.iter().flat_map(|part| parts[*part].clone()).collect();
        fs::write(case.path(), bytes).unwrap();
        case.damage()
    };
    assert_eq!(refused(&[0, 1, 3, 4, 5, 6]), (2, Damage::Record), "the second taken out");
    assert_eq!(refused(&[0, 2, 3, 4, 5, 6]), (1, Damage::Record), "the first taken out");
    assert_eq!(refused(&[0, 1, 3, 2, 4, 5, 6]), (2, Damage::Record), "two exchanged");
    assert_eq!(refused(&[0, 1, 2, 2, 3, 4, 5, 6]), (3, Damage::Record), "one doubled");
    assert_eq!(refused(&[0, 1, 2, 3, 4, 5, 6, 6]), (7, Damage::Record), "the last doubled");
    assert_eq!(refused(&[0, 1, 2, 3, 4, 5]), (6, Damage::Cut), "the last taken out");
    assert_eq!(refused(&[0, 1, 2]), (3, Damage::Cut), "the last four taken out");
    assert_eq!(refused(&[0]), (1, Damage::Cut), "all taken out");
}

#[test]
fn records_and_files_of_another_journal_are_refused() {
    let (case, parts) = written();
    let other = Case::of(2);
    let ends = append(&other.open().unwrap(), day());
    let foreign = self::parts(&other, &ends);
    let mut mixed = parts.clone();
    mixed[3].clone_from(&foreign[3]);
    fs::write(case.path(), mixed.concat()).unwrap();
    assert_eq!(case.damage(), (3, Damage::Record));
    fs::write(case.path(), foreign.concat()).unwrap();
    assert_eq!(case.damage(), (0, Damage::OtherJournal));
    // A file of the same journal in another one's place.
    fs::write(case.path(), parts.concat()).unwrap();
    fs::rename(case.path(), case.file(2)).unwrap();
    assert_eq!(case.damage(), (0, Damage::Head));
    fs::remove_file(case.file(2)).unwrap();
    assert_eq!(case.damage(), (0, Damage::File));
}

#[test]
fn another_course_of_the_same_journal_is_refused() {
    let (case, _) = written();
    let mark = fs::read(case.mark()).unwrap();
    // The same key, and as many records with other contents: as after putting back a copy and going on from it.
    fs::remove_file(case.path()).unwrap();
    fs::remove_file(case.mark()).unwrap();
    append(&case.open().unwrap(), day());
    fs::write(case.mark(), mark).unwrap();
    assert_eq!(case.damage(), (6, Damage::Record));
}

#[test]
fn a_sound_record_of_a_newer_version_is_not_called_damage_of_the_disk() {
    let (case, _) = written();
    let journal = case.open().unwrap();
    {
        let mut inner = journal.lock();
        let path = inner.file.path.clone();
        let (bytes, _) =
            super::super::frame::seal(&journal.key.cipher, inner.file.next, &[99, 1, 2]).unwrap();
        inner.file.length += bytes.len() as u64;
        let mut all = fs::read(&path).unwrap();
        all.extend(bytes);
        fs::write(path, all).unwrap();
    }
    drop(journal);
    assert_eq!(case.damage(), (7, Damage::Meaning));
}

#[test]
fn damage_done_while_it_is_open_is_found_when_the_record_is_used() {
    let (case, _) = written();
    let journal = case.open().unwrap();
    let mut bytes = case.bytes();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    fs::write(case.path(), bytes).unwrap();
    let place = journal.lock().state.runs.values().next().unwrap().answers.values().next().unwrap().place;
    let refused = journal.read(place);
    assert!(matches!(
        refused,
        Err(Error::Journal(JournalError::Damaged { record: 6, damage: Damage::Record, .. }))
    ));
}

#[test]
fn records_without_a_mark_or_with_a_forged_one_are_damage_and_are_rescued() {
    let (case, _) = written();
    let bytes = case.bytes();
    let sound = fs::read(case.mark()).unwrap();
    // The mark of a shorter journal as anybody could make it before marks had a key.
    let forged = || {
        use sha2::Digest as _;
        let mut mark = 0_u64.to_le_bytes().to_vec();
        mark.extend([0; 16]);
        let sum = sha2::Sha256::digest(&mark);
        mark.extend(sum);
        mark
    };
    let other = Case::of(2);
    append(&other.open().unwrap(), day());
    let foreign = fs::read(other.mark()).unwrap();
    let flipped = (0..sound.len()).map(|at| {
        let mut mark = sound.clone();
        mark[at] ^= 1;
        mark
    });
    let marks = [forged(), foreign, b"short".to_vec(), Vec::new(), vec![7; 56]];
    for mark in marks.into_iter().chain(flipped) {
        fs::write(case.mark(), &mark).unwrap();
        assert_eq!(case.damage(), (0, Damage::Mark), "{mark:?}");
        assert_eq!(case.bytes(), bytes, "nothing was changed");
    }
    fs::remove_file(case.mark()).unwrap();
    assert_eq!(case.damage(), (0, Damage::Mark));
    // Asked once more: looking at it did not make a mark.
    assert_eq!(case.damage(), (0, Damage::Mark));
    let key = Key::of([case.key; ID_LEN], Zeroizing::new([case.key; 32])).unwrap();
    super::super::rescue::go_on(case.folder.path(), &key, 1).unwrap();
    for _ in 0..2 {
        assert_eq!(serials(&case.open().unwrap()), ["SN-3"]);
    }
}

/// What a mark under a key still cannot see, as the module says.
#[test]
fn an_older_mark_with_the_records_up_to_it_passes_for_the_journal_of_then() {
    let case = Case::new();
    let journal = case.open().unwrap();
    append(&journal, vec![run(), collected(1, "SN-1")]);
    let (then, mark) = (case.bytes(), fs::read(case.mark()).unwrap());
    append(&journal, vec![collected(1, "SN-2")]);
    drop(journal);
    // The records alone do not: the mark knows of the one that is missing.
    fs::write(case.path(), &then).unwrap();
    assert_eq!(case.damage(), (3, Damage::Cut));
    fs::write(case.mark(), mark).unwrap();
    assert_eq!(serials(&case.open().unwrap()), ["SN-1"]);
}
