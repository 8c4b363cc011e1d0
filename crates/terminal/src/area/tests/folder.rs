//! Areas in a real folder.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;

#[test]
fn a_folder_is_opened_as_it_was_left() {
    let terminal = tempfile::tempdir().unwrap();
    let mut areas = Areas::in_folder(terminal.path()).unwrap();
    update(&mut areas, &pair("1.0.0")).unwrap();
    switch(&mut areas, &pair("2.0.0")).unwrap();
    drop(areas);
    let mut areas = Areas::in_folder(terminal.path()).unwrap();
    assert!(areas.is_new());
    areas
        .start(&mut |running| {
            assert_eq!(version(*running).as_deref(), Some("2.0.0"));
            Ok(())
        })
        .unwrap();
    let [(next, content), _] = pair("3.0.0");
    let mut part = areas.part(&next).unwrap();
    areas.append(&mut part, &content[..50]).unwrap();
    areas.secure(&mut part).unwrap();
    drop(areas);
    let mut areas = Areas::in_folder(terminal.path()).unwrap();
    assert_eq!(areas.part(&next).unwrap().have(), 50);
    update(&mut areas, &pair("3.0.0")).unwrap();
    assert_eq!(version(areas.running()).as_deref(), Some("3.0.0"));
}

#[test]
fn what_stays_is_linked_and_not_copied() {
    let terminal = tempfile::tempdir().unwrap();
    let mut areas = Areas::in_folder(terminal.path()).unwrap();
    update(&mut areas, &pair("1.0.0")).unwrap();
    let extra = manifest("extra", "1.0.0", PackageKind::DataFile, b"extra");
    update(&mut areas, &[(extra, b"extra".to_vec())]).unwrap();
    let file = areas.find(&name("app")).unwrap().file();
    let inode = |room: &str| {
        fs::metadata(terminal.path().join("packages").join(room).join(file.as_str())).unwrap().ino()
    };
    assert_eq!(inode("a"), inode("b"));
}

#[test]
fn names_of_packages_are_no_paths() {
    let terminal = tempfile::tempdir().unwrap();
    let mut areas = Areas::in_folder(terminal.path()).unwrap();
    let odd = [".", "selection.json", "area.json", "con\u{7}", "ä\n", "-rf", &"x".repeat(64)];
    let packages = odd.map(|odd| {
        let content = odd.as_bytes().to_vec();
        (manifest(odd, "1.0.0", PackageKind::DataFile, &content), content)
    });
    update(&mut areas, &packages).unwrap();
    let areas = Areas::in_folder(terminal.path()).unwrap();
    for odd in odd {
        assert_eq!(content(areas.running(), &name(odd)), odd.as_bytes());
    }
    let above: Vec<_> =
        fs::read_dir(terminal.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(above, ["packages"]);
}

#[test]
fn files_belong_to_their_owner_alone_and_half_written_ones_go() {
    let terminal = tempfile::tempdir().unwrap();
    let mut areas = Areas::in_folder(terminal.path()).unwrap();
    update(&mut areas, &pair("1.0.0")).unwrap();
    let packages = terminal.path().join("packages");
    let mode = |name: &str| fs::metadata(packages.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("a"), mode("selection.json")), (0o700, 0o700, 0o600));
    let half = packages.join("incoming/mark-1.new");
    fs::write(&half, b"half").unwrap();
    Areas::in_folder(terminal.path()).unwrap();
    assert!(!half.exists());
}

#[test]
fn an_area_that_lost_its_list_is_named() {
    let terminal = tempfile::tempdir().unwrap();
    let mut areas = Areas::in_folder(terminal.path()).unwrap();
    update(&mut areas, &pair("1.0.0")).unwrap();
    fs::remove_file(terminal.path().join("packages/b/area.json")).unwrap();
    assert!(matches!(Areas::in_folder(terminal.path()), Err(AreaError::Damaged { .. })));
}
