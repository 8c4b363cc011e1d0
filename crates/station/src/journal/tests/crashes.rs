//! A crash at any byte: what was said to be kept is there, what was not is as if it never was.

use std::fs;

use super::*;

/// The file as a crash leaves it, after these many records were acknowledged.
#[test]
fn cut_at_every_byte_the_journal_has_all_that_was_acknowledged() {
    let whole = Case::new();
    let journal = whole.open().unwrap();
    // What the mark said when each record was being written.
    let mut marks = vec![fs::read(whole.mark()).unwrap()];
    let mut ends = vec![journal.overview().bytes];
    for record in day() {
        ends.extend(append(&journal, vec![record]));
        marks.push(fs::read(whole.mark()).unwrap());
    }
    drop(journal);
    let bytes = whole.bytes();
    for (written, pair) in ends.windows(2).enumerate() {
        for cut in pair[0]..pair[1] {
            let case = Case::new();
            fs::write(case.path(), &bytes[..usize::try_from(cut).unwrap()]).unwrap();
            fs::write(case.mark(), &marks[written]).unwrap();
            let journal = case.open().unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
            assert_eq!(journal.overview().bytes, pair[0], "cut at {cut}");
            // And it goes on.
            append(&journal, day().split_off(written));
            drop(journal);
            assert_eq!(serials(&case.open().unwrap()), ["SN-3"], "cut at {cut}");
        }
    }
}

/// The disk had room for the record's length and wrote some of its sectors only.
#[test]
fn sectors_that_were_not_written_are_a_crash() {
    let case = Case::new();
    let journal = case.open().unwrap();
    let begin = usize::try_from(append(&journal, vec![run()])[0]).unwrap();
    let mark = fs::read(case.mark()).unwrap();
    let Record::Package(mut long) = package(1, &[], 7) else { panic!() };
    long.cms = vec![9; 3000];
    let ends = append(&journal, vec![Record::Package(long)]);
    drop(journal);
    let bytes = case.bytes();
    let length = usize::try_from(ends[0]).unwrap();
    for sector in 1..length / 512 {
        let mut torn = bytes.clone();
        torn[sector * 512..(sector + 1) * 512].fill(0);
        fs::write(case.path(), &torn).unwrap();
        fs::write(case.mark(), &mark).unwrap();
        assert_eq!(case.open().unwrap().overview().waiting, 0, "sector {sector}");
    }
    // Nothing of it at all, and its first bytes alone.
    for begin in [begin, begin.next_multiple_of(512)] {
        let mut torn = bytes.clone();
        torn[begin..].fill(0);
        fs::write(case.path(), &torn).unwrap();
        fs::write(case.mark(), &mark).unwrap();
        assert_eq!(case.open().unwrap().overview().waiting, 0);
    }
    // Once the mark says that it was on the disk, it is no crash.
    let mut torn = bytes;
    torn[1024..1536].fill(0);
    fs::write(case.path(), &torn).unwrap();
    fs::write(case.mark(), mark_of(&case, 2)).unwrap();
    assert!(matches!(case.damage(), (2, Damage::Cut | Damage::Record)));
}

/// A mark that says so many records, as far as opening looks at it.
fn mark_of(case: &Case, number: u64) -> Vec<u8> {
    let key = Key::of([case.key; ID_LEN], Zeroizing::new([case.key; 32])).unwrap();
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend([0; 16]);
    let mac = aws_lc_rs::hmac::sign(&key.mark_key(), &bytes);
    bytes.extend(mac.as_ref());
    assert!(case.mark().exists());
    bytes
}

/// The journal is made by several steps.
#[test]
fn a_crash_while_it_is_made_leaves_a_journal_or_none() {
    let case = Case::new();
    // The key is there, the first file has not its name yet.
    fs::write(case.folder.path().join("00000001.journal.part"), [0; 40]).unwrap();
    let journal = case.open().unwrap();
    append(&journal, day());
    assert!(!case.folder.path().join("00000001.journal.part").exists());
    drop(journal);
    // A crash while the second file was made.
    fs::write(case.folder.path().join("00000002.journal.part"), [0; 40]).unwrap();
    assert_eq!(serials(&case.open().unwrap()), ["SN-3"]);
}

#[test]
fn a_crash_between_the_first_mark_and_the_first_file_leaves_a_journal() {
    let case = Case::new();
    drop(case.open().unwrap());
    let made = fs::read(case.mark()).unwrap();
    fs::remove_file(case.path()).unwrap();
    append(&case.open().unwrap(), day());
    // The mark was never written anew: no record that is on disk is lost by that.
    fs::write(case.mark(), made).unwrap();
    assert_eq!(serials(&case.open().unwrap()), ["SN-3"]);
}

#[test]
fn a_mark_older_than_the_journal_is_no_damage() {
    let case = Case::new();
    let journal = case.open().unwrap();
    append(&journal, vec![run()]);
    let old = fs::read(case.mark()).unwrap();
    append(&journal, day().split_off(1));
    drop(journal);
    fs::write(case.mark(), old).unwrap();
    assert_eq!(serials(&case.open().unwrap()), ["SN-3"]);
}
