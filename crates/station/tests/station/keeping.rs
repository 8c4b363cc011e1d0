//! The journal's folder and its passphrase, packages in it.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use keyferry_station::{
    Error, Journal, Package, PackageName,
    journal::{JournalError, Outcome},
    upload,
};

use crate::{
    estate::BOTH,
    fake_server::answering,
    journals::{PASSPHRASE, journal_in},
    packing::{settings, two_terminals},
};

pub(crate) fn package() -> Package {
    package_that(false)
}

/// The same terminals in another package.
pub(crate) fn package_that(replaces: bool) -> Package {
    Package::sign(&BOTH.1, &two_terminals(&BOTH.1), &settings(replaces)).unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> JournalError {
    match result {
        Err(Error::Journal(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_package_is_on_disk_for_its_owner_and_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/journal");
    let package = package();
    let name = journal_in(&path).keep(&package).unwrap();
    assert_eq!(name.to_string(), package.sha256_hex());

    let journal = journal_in(&path);
    let waiting = journal.waiting();
    assert_eq!((waiting.len(), waiting[0].name, waiting[0].terminals), (1, name, 2));
    assert_eq!((waiting[0].bytes, waiting[0].ends), (package.cms().len(), None));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for entry in fs::read_dir(&path).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    let back = journal.package(&name).unwrap();
    assert_eq!((back.cms(), back.terminals()), (package.cms(), package.terminals()));
    assert_eq!(back.terminals()[1].device.pin_pad().as_str(), "PP-2");
}

#[test]
fn nothing_that_was_collected_can_be_read_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    let package = package();
    journal.keep(&package).unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for clear in [b"SN-1".as_slice(), b"collected_at", package.cms().get(..64).unwrap()] {
            assert!(!bytes.windows(clear.len()).any(|window| window == clear));
        }
    }
}

#[test]
fn the_same_package_is_kept_once_and_not_again_after_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    let package = package();
    let kept = journal.keep(&package).unwrap();
    assert_eq!(journal.keep(&package).unwrap(), kept);
    assert_eq!(journal.waiting().len(), 1);
    upload(&answering(409, b"").0, &journal, &kept).unwrap();
    assert_eq!(journal.keep(&package).unwrap(), kept);
    assert!(journal.waiting().is_empty());
    assert_eq!(journal.answered()[0].outcome, Outcome::ArrivedBefore);
}

#[test]
fn two_processes_do_not_share_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let first = journal_in(folder.path());
    assert!(matches!(refused(Journal::open(folder.path(), PASSPHRASE)), JournalError::InUse { .. }));
    drop(first);
    journal_in(folder.path());
}

#[test]
fn a_journal_is_made_once_and_opened_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    assert!(matches!(refused(Journal::open(&path, PASSPHRASE)), JournalError::Missing { .. }));
    drop(journal_in(&path));
    assert!(matches!(refused(Journal::create(&path, PASSPHRASE)), JournalError::Exists { .. }));
    // A folder that is there and holds none.
    assert!(matches!(refused(Journal::open(folder.path(), PASSPHRASE)), JournalError::Missing { .. }));
}

#[test]
fn a_wrong_or_short_passphrase_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let short = JournalError::ShortPassphrase { found: 11, wanted: 12 };
    let refusal = refused(Journal::create(folder.path(), "eleven char"));
    assert_eq!(refusal.to_string(), short.to_string());
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing was made");
    let journal = journal_in(folder.path());
    let refusal = refused(journal.change_passphrase("eleven char"));
    assert_eq!(refusal.to_string(), short.to_string());
    drop(journal);
    for wrong in ["", "another station passphrase", "a station passphrasE"] {
        assert!(matches!(refused(Journal::open(folder.path(), wrong)), JournalError::WrongPassphrase { .. }));
    }
}

#[test]
fn a_new_passphrase_opens_all_that_was_kept_under_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    let name = journal.keep(&package()).unwrap();
    journal.change_passphrase("the new station passphrase").unwrap();
    drop(journal);
    assert!(matches!(
        refused(Journal::open(folder.path(), PASSPHRASE)),
        JournalError::WrongPassphrase { .. }
    ));
    let journal = Journal::open(folder.path(), "the new station passphrase").unwrap();
    journal.package(&name).unwrap();
}

#[test]
fn a_key_file_that_was_changed_cut_or_is_gone_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    journal_in(folder.path()).keep(&package()).unwrap();
    let path = folder.path().join("key.sealed");
    let whole = fs::read(&path).unwrap();
    let key = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        matches!(refused(Journal::open(folder.path(), PASSPHRASE)), JournalError::Key { .. })
    };
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert!(key(&changed), "byte {at}");
    }
    assert!(key(&whole[..whole.len() - 1]));
    assert!(key(&[]));
    fs::remove_file(&path).unwrap();
    assert!(matches!(refused(Journal::open(folder.path(), PASSPHRASE)), JournalError::Key { .. }));
    fs::write(&path, &whole).unwrap();
    journal_in(folder.path());
}

#[test]
fn a_package_that_is_given_up_is_not_uploaded() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    let name = journal.keep(&package()).unwrap();
    journal.give_up(&name, "its ceremony is over").unwrap();
    assert!(journal.waiting().is_empty());
    let (server, requests) = answering(200, b"{}");
    let unknown = |error| matches!(error, JournalError::NoSuchPackage { .. });
    assert!(unknown(refused(upload(&server, &journal, &name))));
    assert!(unknown(refused(journal.give_up(&name, "again"))));
    assert!(requests.try_recv().is_err());
    drop(journal);
    assert!(journal_in(folder.path()).waiting().is_empty());
}

#[test]
fn names_of_packages_are_sixty_four_hex_digits() {
    let name: PackageName = "0A".repeat(32).parse().unwrap();
    assert_eq!(name.to_string(), "0a".repeat(32));
    for text in ["", "0a", &"0g".repeat(32), &"+1".repeat(32), &"é".repeat(32)] {
        assert!(matches!(refused(text.parse::<PackageName>()), JournalError::NoSuchPackage { .. }));
    }
}

#[test]
fn the_overview_tells_when_something_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    let before = journal.overview();
    assert_eq!(journal.overview(), before);
    let name = journal.keep(&package()).unwrap();
    let kept = journal.overview();
    assert!(kept.changes > before.changes);
    assert_eq!((kept.waiting, kept.waiting_terminals, kept.answered), (1, 2, 0));
    journal.give_up(&name, "a test").unwrap();
    assert!(journal.overview().changes > kept.changes);
}
