//! A power cut at every act of the disk, and a disk that is full at every byte.

use super::disk::{Disk, Survives};
use super::*;

fn with_version_1() -> (Disk, Areas) {
    let disk = Disk::new();
    let mut areas = Areas::open(disk.clone()).unwrap();
    update(&mut areas, &pair("1.0.0")).unwrap();
    (disk, areas)
}

#[test]
fn power_cut_at_every_act_leaves_the_old_set_or_the_new_one() {
    let (disk, mut areas) = with_version_1();
    let before = disk.acts();
    update(&mut areas, &pair("2.0.0")).unwrap();
    let acts = disk.acts() - before;
    assert!(acts > 30, "{acts} acts: too few to prove anything");
    let mut seen = [0; 2];
    for (cut, survives) in (0..=acts).flat_map(|cut| [(cut, Survives::TheSafe), (cut, Survives::Everything)])
    {
        let (disk, mut areas) = with_version_1();
        disk.cut_after(cut);
        let cut_short = update(&mut areas, &pair("2.0.0")).is_err();
        assert_eq!(cut_short, cut < acts, "cut after {cut}");
        drop(areas);
        disk.power_back(survives);

        let mut areas = Areas::open(disk.clone()).unwrap();
        areas
            .start(&mut |running| {
                let _ = version(*running);
                Ok(())
            })
            .unwrap();
        let now = version(areas.running()).unwrap();
        assert!(now == "1.0.0" || now == "2.0.0", "cut after {cut}: {now}");
        seen[usize::from(now == "2.0.0")] += 1;
        // The next update goes on, whatever this one left behind.
        if now == "1.0.0" {
            update(&mut areas, &pair("2.0.0")).unwrap();
        }
        areas.keep_only([]).unwrap();
        assert_eq!(version(areas.running()).as_deref(), Some("2.0.0"), "cut after {cut}");
        assert_eq!(disk.list(Room::Incoming).unwrap(), [], "cut after {cut}");
    }
    assert!(seen.iter().all(|count| *count > 2), "{seen:?}");
}

#[test]
fn power_cut_at_every_act_of_a_return_still_returns() {
    for cut in 0..8 {
        let (disk, mut areas) = with_version_1();
        switch(&mut areas, &pair("2.0.0")).unwrap();
        disk.cut_after(cut);
        let hook = &mut |running: &Running<'_>| match version(*running).as_deref() {
            Some("2.0.0") => Err("bad".to_owned()),
            _ => Ok(()),
        };
        let _ = areas.start(hook);
        drop(areas);
        disk.power_back(Survives::TheSafe);
        let mut areas = Areas::open(disk).unwrap();
        areas.start(hook).unwrap();
        assert_eq!(version(areas.running()).as_deref(), Some("1.0.0"), "cut after {cut}");
        assert_eq!(areas.failed_start().unwrap().packages.len(), 2, "cut after {cut}");
    }
}

#[test]
fn disk_full_at_every_byte_is_told_and_loses_nothing() {
    let (disk, mut areas) = with_version_1();
    let needed: usize = pair("2.0.0").iter().map(|(_, bytes)| bytes.len()).sum();
    for bytes in (0..needed + 600).step_by(7) {
        disk.full_after(bytes);
        match switch(&mut areas, &pair("2.0.0")) {
            Ok(refused) if refused.is_empty() => {
                assert!(bytes > needed, "{bytes} bytes were enough");
                disk.full_after(usize::MAX);
                areas.start(&mut |_| Ok(())).unwrap();
                assert_eq!(version(areas.running()).as_deref(), Some("2.0.0"));
                return;
            }
            Ok(refused) => {
                assert!(refused.iter().all(|(_, why)| *why == PackageRefusal::NoRoom), "{refused:?}");
                assert_eq!(disk.list(areas.selection.other()).unwrap(), [], "half an area takes no room");
            }
            Err(error) => {
                assert!(matches!(error, AreaError::Full { .. }), "{error}");
                assert!(error.to_string().contains("free some"), "{error}");
            }
        }
        assert_eq!(version(areas.running()).as_deref(), Some("1.0.0"));
    }
    panic!("never enough room");
}

#[test]
fn disk_full_keeps_what_had_come() {
    let (disk, mut areas) = with_version_1();
    let [(manifest, content), _] = pair("2.0.0");
    disk.full_after(60);
    arrive(&mut areas, &manifest, &content).unwrap_err();
    disk.full_after(usize::MAX);
    assert_eq!(areas.part(&manifest).unwrap().have(), 40);
    arrive(&mut areas, &manifest, &content).unwrap();
}

#[test]
fn parts_that_nobody_wants_now_give_way_to_the_next_area() {
    let (disk, mut areas) = with_version_1();
    let old = manifest("old", "1.0.0", PackageKind::DataFile, &[7; 5_000]);
    arrive(&mut areas, &old, &[7; 5_000]).unwrap();
    let set: Vec<_> = pair("2.0.0")
        .iter()
        .map(|(manifest, content)| arrive(&mut areas, manifest, content).unwrap())
        .collect();
    disk.full_until_something_goes(0);
    let mut refused = Vec::new();
    assert_eq!(install(&mut areas, set, &mut refused).unwrap().len(), 2, "{refused:?}");
    assert_eq!(areas.part(&old).unwrap().have(), 0);
}
