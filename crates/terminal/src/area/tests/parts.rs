//! Parts: what is safe of them, and what is garbage.

use super::disk::{Disk, Survives};
use super::*;

fn app() -> (Manifest, Vec<u8>) {
    let [app, _] = pair("1.0.0");
    app
}

#[test]
fn a_part_goes_on_at_any_byte() {
    let (manifest, content) = app();
    for cut in 0..=content.len() {
        let disk = Disk::new();
        let mut areas = Areas::open(disk.clone()).unwrap();
        let mut part = areas.part(&manifest).unwrap();
        areas.append(&mut part, &content[..cut]).unwrap();
        areas.secure(&mut part).unwrap();
        drop(areas);
        disk.power_back(Survives::TheSafe);
        let mut areas = Areas::open(disk).unwrap();
        assert_eq!(areas.part(&manifest).unwrap().have(), cut as u64);
        arrive(&mut areas, &manifest, &content).unwrap();
    }
}

#[test]
fn bytes_behind_the_mark_are_not_believed() {
    let (manifest, content) = app();
    let disk = Disk::new();
    let mut areas = Areas::open(disk.clone()).unwrap();
    let mut part = areas.part(&manifest).unwrap();
    areas.append(&mut part, &content[..30]).unwrap();
    areas.secure(&mut part).unwrap();
    // As a file system may leave it: the length is there, the bytes are not.
    disk.clone().write(Room::Incoming, part.file(), 30, &[0; 50]).unwrap();
    disk.power_back(Survives::Everything);
    let mut areas = Areas::open(disk).unwrap();
    assert_eq!(areas.part(&manifest).unwrap().have(), 30);
    arrive(&mut areas, &manifest, &content).unwrap();
}

#[test]
fn a_file_without_a_mark_or_a_mark_without_a_file_is_nothing() {
    let (manifest, content) = app();
    for missing in [0, 1] {
        let mut disk = Disk::new();
        let mut areas = Areas::open(disk.clone()).unwrap();
        let mut part = areas.part(&manifest).unwrap();
        areas.append(&mut part, &content[..30]).unwrap();
        areas.secure(&mut part).unwrap();
        let mut names = disk.list(Room::Incoming).unwrap();
        names.sort();
        disk.remove(Room::Incoming, &names[missing]).unwrap();
        assert_eq!(areas.part(&manifest).unwrap().have(), 0);
        arrive(&mut areas, &manifest, &content).unwrap();
    }
}

#[test]
fn parts_of_withdrawn_packages_go_and_others_stay() {
    let disk = Disk::new();
    let mut areas = Areas::open(disk.clone()).unwrap();
    let [(wanted, content), (withdrawn, other)] = pair("1.0.0");
    arrive(&mut areas, &wanted, &content).unwrap();
    arrive(&mut areas, &withdrawn, &other).unwrap();
    areas.keep_only([&wanted]).unwrap();
    assert_eq!(disk.list(Room::Incoming).unwrap().len(), 2);
    assert!(areas.part(&wanted).unwrap().is_whole());
    assert_eq!(areas.part(&withdrawn).unwrap().have(), 0);
}

#[test]
fn a_part_that_is_not_planned_stays_for_four_weeks() {
    const DAY: i64 = 24 * 60 * 60;
    let [(wanted, content), (paused, other)] = pair("1.0.0");
    let disk = Disk::new();
    let mut areas = Areas::open(disk.clone()).unwrap();
    areas.set_time(1_800_000_000);
    for (manifest, content) in [(&wanted, &content), (&paused, &other)] {
        let mut part = areas.part(manifest).unwrap();
        areas.append(&mut part, &content[..30]).unwrap();
        areas.secure(&mut part).unwrap();
    }
    for (days, have) in [(0, 30), (28, 30), (29, 0)] {
        areas.set_time(1_800_000_000 + days * DAY);
        areas.tidy([&wanted]).unwrap();
        assert_eq!(areas.part(&paused).unwrap().have(), have, "after {days} days");
        assert_eq!(areas.part(&wanted).unwrap().have(), 30);
    }
    assert_eq!(disk.list(Room::Incoming).unwrap().len(), 2, "a part and its mark");
}

#[test]
fn what_has_no_mark_or_one_of_another_form_or_time_is_tidied_away() {
    let [(wanted, _), (paused, content)] = pair("1.0.0");
    type Damage = fn(&mut Disk, &FileName);
    let damages: [Damage; 3] = [
        |disk, mark| disk.remove(Room::Incoming, mark).unwrap(),
        |disk, mark| disk.replace(Room::Incoming, mark, &[0; 8]).unwrap(),
        |disk, mark| disk.replace(Room::Incoming, mark, &[0x7F; 16]).unwrap(),
    ];
    for damage in damages {
        let mut disk = Disk::new();
        let mut areas = Areas::open(disk.clone()).unwrap();
        areas.set_time(1_800_000_000);
        arrive(&mut areas, &paused, &content).unwrap();
        let names = disk.list(Room::Incoming).unwrap();
        let mark = names.iter().find(|name| name.as_str().starts_with("mark")).unwrap();
        damage(&mut disk, mark);
        areas.tidy([&wanted]).unwrap();
        assert_eq!(disk.list(Room::Incoming).unwrap(), []);
    }
}

/// A power cut may leave a part whose file is an area's too, and take its mark.
#[test]
fn a_part_without_a_mark_is_not_written_through_into_an_area() {
    let (manifest, content) = app();
    let mut disk = Disk::new();
    let mut areas = Areas::open(disk.clone()).unwrap();
    let arrived = arrive(&mut areas, &manifest, &content).unwrap();
    let mut refused = Vec::new();
    install(&mut areas, vec![arrived], &mut refused).unwrap();
    let names = disk.list(Room::Incoming).unwrap();
    disk.remove(Room::Incoming, names.iter().find(|name| name.as_str().starts_with("mark")).unwrap())
        .unwrap();
    let mut part = areas.part(&manifest).unwrap();
    areas.append(&mut part, b"other bytes").unwrap();
    assert_eq!(super::content(areas.running(), &name("app")), content);
}

#[test]
fn a_discarded_part_begins_anew() {
    let mut areas = Areas::in_memory().unwrap();
    let (manifest, content) = app();
    let arrived = arrive(&mut areas, &manifest, &content).unwrap();
    areas.discard(&arrived.part).unwrap();
    assert_eq!(areas.part(&manifest).unwrap().have(), 0);
}

#[test]
fn another_content_of_the_same_version_is_another_part() {
    let mut areas = Areas::in_memory().unwrap();
    let (manifest, content) = app();
    arrive(&mut areas, &manifest, &content).unwrap();
    let other = Manifest { sha256: [7; 32], ..manifest };
    assert_eq!(areas.part(&other).unwrap().have(), 0);
}

#[test]
fn an_empty_package_is_a_package() {
    let mut areas = Areas::in_memory().unwrap();
    let empty = manifest("empty", "1.0.0", PackageKind::DataFile, b"");
    update(&mut areas, &[(empty, Vec::new())]).unwrap();
    assert_eq!(content(areas.running(), &name("empty")), b"");
}

#[test]
fn content_that_changed_on_its_way_or_on_the_disk_is_refused() {
    let mut areas = Areas::in_memory().unwrap();
    let (manifest, content) = app();
    let mut wrong = content.clone();
    wrong[3] ^= 1;
    let mut part = areas.part(&manifest).unwrap();
    areas.append(&mut part, &wrong).unwrap();
    let checked = crate::package::check_content(&areas, &part, &manifest).unwrap();
    assert_eq!(checked, Err(PackageRefusal::Hash));
}
