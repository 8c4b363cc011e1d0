//! Several ports at once, found by themselves.

use std::{collections::HashSet, fs, os::unix::fs::symlink, time::Duration};

use keyferry_station::{
    Target,
    ports::{Change, Watcher},
};

use crate::{
    cable::{Act, To},
    world::{Rig, Suite, collect_in, settings},
};

/// Terminals whose ports are in one folder.
fn rigs(suite: Suite, count: usize) -> Vec<Rig> {
    (0..count).map(|number| Rig::new(suite, &format!("SN-{number}"))).collect()
}

#[test]
fn terminals_that_are_plugged_in_are_found_and_collected_at_once_each_under_one_name() {
    for suite in [Suite::Tdes, Suite::EcAes] {
        let folder = tempfile::tempdir().unwrap();
        let pattern = format!("{}/tty*", folder.path().display());
        let by_id = format!("{}/by-id-*", folder.path().display());
        let mut watcher = Watcher::new(&[pattern, by_id], 115_200).unwrap();
        assert!(watcher.look().is_empty());
        let rigs = rigs(suite, 8);
        for (number, rig) in rigs.iter().enumerate() {
            symlink(&rig.port, folder.path().join(format!("tty{number}"))).unwrap();
            symlink(&rig.port, folder.path().join(format!("by-id-{number}"))).unwrap();
        }
        let plugged: Vec<Target> = watcher
            .look()
            .into_iter()
            .map(|change| match change {
                Change::Plugged(port) => port.target,
                Change::Gone(port) => panic!("{port:?}"),
            })
            .collect();
        assert_eq!(plugged.len(), 8);
        // Each of them disturbed in its own way.
        for (number, rig) in rigs.iter().enumerate() {
            rig.cable.plan(&match number {
                0..=2 => vec![],
                3 | 4 => vec![Act::Slow(Duration::from_millis(1))],
                5 | 6 => vec![Act::Pull(To::Station, 20 * number)],
                _ => vec![Act::Noise(To::Station, 30, vec![0xA5; 9])],
            });
        }
        let told = collect_in(suite, &plugged, &settings());
        let answers: HashSet<Vec<u8>> = told.iter().map(|told| told.outcome.clone().unwrap()).collect();
        assert_eq!(answers.len(), 8);
        assert_eq!(told.iter().filter(|told| !told.again.is_empty()).count(), 3, "{told:?}");
        fs::remove_file(folder.path().join("tty3")).unwrap();
        drop(rigs);
        let gone = watcher.look();
        assert_eq!(gone.len(), 8);
        assert!(gone.iter().all(|change| matches!(change, Change::Gone(_))));
    }
}

#[test]
fn one_port_under_two_names_and_speeds_is_asked_once() {
    let rig = Rig::new(Suite::EcAes, "SN-1");
    let name = rig.port.with_file_name("by-id");
    symlink(&rig.port, &name).unwrap();
    let again: Target = format!("serial:{}?baud=9600", name.display()).parse().unwrap();
    let told = collect_in(rig.suite, &[rig.target.clone(), again], &settings());
    assert!(told[0].outcome.is_ok(), "{told:?}");
    assert!(told[1].outcome.as_ref().is_err_and(|why| why.contains("stands twice")), "{told:?}");
}
