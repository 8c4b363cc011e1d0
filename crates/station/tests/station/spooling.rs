//! What a crash leaves behind, and what becomes of it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use keyferry_station::{Error, Package, Spool};

use crate::{
    estate::BOTH,
    packing::{settings, two_terminals},
};

pub(crate) fn package() -> Package {
    package_that(false)
}

/// The same terminals in another package.
pub(crate) fn package_that(replaces: bool) -> Package {
    Package::sign(&BOTH.1, &two_terminals(&BOTH.1), &settings(replaces)).unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "lock")
        .collect();
    names.sort();
    names
}

#[test]
fn package_is_on_disk_for_its_owner_and_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let package = package();
    let kept = Spool::open(&folder.path().join("deep/spool")).unwrap().keep(&package).unwrap();

    let spool = Spool::open(&folder.path().join("deep/spool")).unwrap();
    assert_eq!(spool.waiting().unwrap(), std::slice::from_ref(&kept));
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(spool.waiting_path(&kept)), 0o600);
    assert_eq!(mode(folder.path().join("deep/spool")), 0o700);
    let back = spool.load(&kept).unwrap();
    assert_eq!((back.cms(), back.terminals()), (package.cms(), package.terminals()));
    assert_eq!(back.terminals()[1].device.pin_pad().as_str(), "PP-2");
}

#[test]
fn the_same_package_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    let package = package();
    let kept = spool.keep(&package).unwrap();
    assert_eq!(spool.keep(&package).unwrap(), kept);
    assert_eq!(spool.waiting().unwrap().len(), 1);
    spool.mark_sent(&kept, Some(b"{}")).unwrap();
    assert_eq!(spool.keep(&package).unwrap(), kept);
    assert!(spool.waiting().unwrap().is_empty());
}

#[test]
fn two_processes_do_not_share_a_spool() {
    let folder = tempfile::tempdir().unwrap();
    let first = Spool::open(folder.path()).unwrap();
    assert!(matches!(Spool::open(folder.path()), Err(Error::SpoolInUse { .. })));
    drop(first);
    Spool::open(folder.path()).unwrap();
}

#[test]
fn crash_before_the_last_byte_leaves_nothing_to_upload() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    let kept = spool.keep(&package()).unwrap();
    let path = spool.waiting_path(&kept);
    drop(spool);
    let bytes = fs::read(&path).unwrap();
    fs::write(path.with_extension("cms.part"), &bytes[..bytes.len() - 1]).unwrap();
    fs::remove_file(path).unwrap();
    assert!(Spool::open(folder.path()).unwrap().waiting().unwrap().is_empty());
    assert!(files(folder.path()).is_empty());
}

#[test]
fn crash_after_the_last_byte_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    let kept = spool.keep(&package()).unwrap();
    let path = spool.waiting_path(&kept);
    drop(spool);
    fs::rename(&path, path.with_extension("cms.part")).unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    assert_eq!(spool.waiting().unwrap(), std::slice::from_ref(&kept));
    spool.load(&kept).unwrap();
}

#[test]
fn crash_between_the_answer_and_the_mark_leaves_the_package_waiting_and_the_answer_kept() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    let kept = spool.keep(&package()).unwrap();
    // As far as mark_sent came.
    fs::write(folder.path().join(format!("{}.results.json", kept.name())), b"the answer").unwrap();
    drop(spool);
    let spool = Spool::open(folder.path()).unwrap();
    assert_eq!(spool.waiting().unwrap(), std::slice::from_ref(&kept));
    // The second upload is answered 409, without results.
    spool.mark_sent(&kept, None).unwrap();
    assert_eq!(spool.answer(&kept).unwrap(), b"the answer");
    assert_eq!(spool.sent().unwrap(), [kept]);
}

#[test]
fn damaged_package_is_refused_by_name_and_not_uploaded() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    let kept = spool.keep(&package()).unwrap();
    let path = spool.waiting_path(&kept);
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(spool.load(&kept), Err(Error::PackageDamaged { .. })));
}

#[test]
fn file_that_is_no_package_is_refused_by_name() {
    use sha2::Digest;
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    let digest: String =
        sha2::Sha256::digest(b"no package").iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(folder.path().join(format!("20260101T000000Z-{digest}.waiting.cms")), b"no package").unwrap();
    let found = spool.waiting().unwrap().remove(0);
    assert!(matches!(spool.load(&found), Err(Error::PackageDamaged { .. })));
}
