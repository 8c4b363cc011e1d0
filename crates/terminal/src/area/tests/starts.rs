//! First starts: those that go well, those that fail, and those that the power ends.

use super::disk::{Disk, Survives};
use super::*;

fn with_version_1() -> (Disk, Areas) {
    let disk = Disk::new();
    let mut areas = Areas::open(disk.clone()).unwrap();
    update(&mut areas, &pair("1.0.0")).unwrap();
    (disk, areas)
}

#[test]
fn new_storage_holds_nothing_and_starts() {
    let mut areas = Areas::in_memory().unwrap();
    assert_eq!(
        areas
            .start(&mut |running| {
                assert_eq!(running.installed().count(), 0);
                Ok(())
            })
            .unwrap(),
        Started::AsBefore
    );
    assert_eq!(version(areas.running()), None);
}

#[test]
fn the_hook_sees_the_new_area_and_its_success_keeps_it() {
    let (disk, mut areas) = with_version_1();
    switch(&mut areas, &pair("2.0.0")).unwrap();
    assert!(areas.is_new());
    let mut seen = None;
    let started = areas.start(&mut |running| {
        seen = version(*running);
        Ok(())
    });
    let Started::New { packages } = started.unwrap() else { panic!("not new") };
    assert_eq!(seen.as_deref(), Some("2.0.0"));
    assert_eq!(packages.len(), 2);
    drop(areas);
    let mut areas = Areas::open(disk).unwrap();
    assert_eq!(areas.start(&mut |_| Ok(())).unwrap(), Started::AsBefore);
    assert_eq!(version(areas.running()).as_deref(), Some("2.0.0"));
}

#[test]
fn a_first_start_that_fails_returns_and_is_remembered_until_told() {
    let (disk, mut areas) = with_version_1();
    switch(&mut areas, &pair("2.0.0")).unwrap();
    let mut starts = Vec::new();
    let started = areas.start(&mut |running| {
        let version = version(*running).unwrap();
        starts.push(version.clone());
        if version == "2.0.0" { Err("no licence".into()) } else { Ok(()) }
    });
    let Started::Returned(failed) = started.unwrap() else { panic!("did not return") };
    assert_eq!(starts, ["2.0.0", "1.0.0"]);
    assert_eq!((failed.why.as_str(), failed.packages.len()), ("no licence", 2));
    let mut areas = Areas::open(disk.clone()).unwrap();
    assert_eq!(areas.failed_start(), Some(&failed));
    assert_eq!(version(areas.running()).as_deref(), Some("1.0.0"));
    areas.told().unwrap();
    assert_eq!(Areas::open(disk).unwrap().failed_start(), None);
}

#[test]
fn the_very_first_set_that_fails_leaves_an_empty_terminal() {
    let mut areas = Areas::in_memory().unwrap();
    switch(&mut areas, &pair("1.0.0")).unwrap();
    let hook = &mut |running: &Running<'_>| match running.installed().count() {
        0 => Ok(()),
        _ => Err("bad".to_owned()),
    };
    assert!(matches!(areas.start(hook).unwrap(), Started::Returned(_)));
    assert_eq!(version(areas.running()), None);
    update(&mut areas, &pair("1.0.1")).unwrap();
    assert_eq!(version(areas.running()).as_deref(), Some("1.0.1"));
}

#[test]
fn power_lost_during_the_first_start_returns() {
    for survives in [Survives::TheSafe, Survives::Everything] {
        let (disk, mut areas) = with_version_1();
        switch(&mut areas, &pair("2.0.0")).unwrap();
        let off = disk.clone();
        areas
            .start(&mut |_| {
                off.cut_after(0);
                Ok(())
            })
            .unwrap_err();
        drop(areas);
        disk.power_back(survives);
        let mut areas = Areas::open(disk).unwrap();
        let mut started = None;
        let Started::Returned(failed) = areas
            .start(&mut |running| {
                started = version(*running);
                Ok(())
            })
            .unwrap()
        else {
            panic!("did not return")
        };
        assert!(failed.why.contains("power"), "{}", failed.why);
        assert_eq!(started.as_deref(), Some("1.0.0"));
    }
}

#[test]
fn power_lost_before_the_first_start_begins_costs_nothing() {
    let (disk, mut areas) = with_version_1();
    switch(&mut areas, &pair("2.0.0")).unwrap();
    drop(areas);
    disk.power_back(Survives::TheSafe);
    let mut areas = Areas::open(disk).unwrap();
    assert!(matches!(areas.start(&mut |_| Ok(())).unwrap(), Started::New { .. }));
    assert_eq!(version(areas.running()).as_deref(), Some("2.0.0"));
}

#[test]
fn the_area_to_go_back_to_is_not_overwritten() {
    let (_, mut areas) = with_version_1();
    switch(&mut areas, &pair("2.0.0")).unwrap();
    let error = switch(&mut areas, &pair("3.0.0")).unwrap_err();
    assert!(matches!(error, AreaError::NotStarted), "{error}");
}

#[test]
fn an_area_that_ran_before_and_fails_is_told_and_stays() {
    let (_, mut areas) = with_version_1();
    let error = areas.start(&mut |_| Err("worn out".into())).unwrap_err();
    assert!(matches!(&error, AreaError::Start { why } if why == "worn out"), "{error}");
    assert_eq!(version(areas.running()).as_deref(), Some("1.0.0"));
}

#[test]
fn a_damaged_selection_is_named() {
    for bytes in
        [&b"{"[..], br#"{"version":9,"second":false,"trial":null,"failed":null,"untold":false}"#, b""]
    {
        let (mut disk, areas) = with_version_1();
        drop(areas);
        disk.replace(Room::Selection, &FileName::new("selection.json").unwrap(), bytes).unwrap();
        assert!(matches!(Areas::open(disk), Err(AreaError::Damaged { .. })));
    }
}

/// What a disk lost is not in the inventory, so a TMS sends it again; and what is left of an area is still one.
#[test]
fn a_package_whose_file_is_lost_or_cut_is_listed_no_more_and_can_be_loaded_again() {
    type Damage = fn(&mut Disk, &FileName);
    let damages: [Damage; 2] = [
        |disk, file| disk.remove(Room::B, file).unwrap(),
        |disk, file| {
            disk.replace(Room::B, file, b"half").unwrap();
        },
    ];
    for damage in damages {
        let (mut disk, areas) = with_version_1();
        let file = areas.find(&name("app")).unwrap().file();
        drop(areas);
        damage(&mut disk, &file);
        let mut areas = Areas::open(disk.clone()).unwrap();
        assert_eq!(areas.installed().map(|id| id.name.as_str()).collect::<Vec<_>>(), ["data"]);
        assert_eq!(areas.find_lost(&name("app")).unwrap().manifest, pair("1.0.0")[0].0);
        let [app, _] = pair("1.0.0");
        assert_eq!(update(&mut areas, &[app]).unwrap(), []);
        assert_eq!(version(areas.running()).as_deref(), Some("1.0.0"));
        assert!(areas.find_lost(&name("app")).is_none());
    }
}
