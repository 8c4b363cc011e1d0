//! Plugs that are pulled, everywhere.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use keyferry_station::CollectSettings;

use crate::{
    cable::{Act, To},
    world::{Rig, Suite, settings},
};

/// Cables that are cut at the same time: a cut costs waiting, not work.
const RIGS: usize = 96;

/// Every byte of the first question and answer, and every so many of their repetition.
const SECOND_STEP: usize = 16;

/// Pulls the plug at every byte that the station and the terminal say to each other, each time in another run, and shows
/// that the run ends well, with the answer that was there before, and that nothing is left on either side.
fn plug_pulled_at_every_byte(suite: Suite) {
    let first = Rig::new(suite, "SN-0");
    let (question, answer) = first.said();
    let all = |to, once: usize| {
        // Suite 01 asks twice, and the second time differs from the first by what was before it only.
        let twice = (once..first.cable.carried(to).len()).step_by(SECOND_STEP);
        (0..once).chain(twice).map(move |at| (to, at)).collect::<Vec<_>>()
    };
    let cuts = [all(To::Terminal, question.len()), all(To::Station, answer.len())].concat();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 1..=RIGS {
            let (next, cuts) = (&next, &cuts);
            scope.spawn(move || {
                let rig = Rig::new(suite, &format!("SN-{number}"));
                let (question, mut answer) = rig.said();
                while let Some((to, at)) = cuts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let told = rig.collect(&[Act::Pull(*to, *at)], &settings());
                    answer = rig
                        .ended_well(&told, &answer)
                        .unwrap_or_else(|why| panic!("{to:?} after {at}: {why}"));
                    let port = rig.port.display().to_string();
                    let named = |why: &String| why.starts_with(&format!("{port} was unplugged "));
                    // Another serial's COLLECTED is shorter by its digits: the last bytes are not cut in each.
                    if told.again.is_empty() {
                        assert!(rig.cable.carried(*to).len() <= *at, "{to:?} after {at}");
                        continue;
                    }
                    assert!(named(&told.again[0]), "{to:?} after {at}: {:?}", told.again);
                    assert!(rig.is_clean(&question, &answer), "{to:?} after {at}: {:?}", told.again);
                }
            });
        }
    });
}

#[test]
fn a_plug_pulled_at_every_byte_of_suite_01_costs_a_retry_and_leaves_both_sides_clean() {
    plug_pulled_at_every_byte(Suite::Tdes);
}

#[test]
fn a_plug_pulled_at_every_byte_of_suite_02_costs_a_retry_and_leaves_both_sides_clean() {
    plug_pulled_at_every_byte(Suite::EcAes);
}

#[test]
fn a_plug_that_stays_out_is_told_with_port_step_and_what_to_do() {
    for suite in [Suite::Tdes, Suite::EcAes] {
        for (to, at, step) in [
            (To::Terminal, 100, "after COLLECT had left, before its answer"),
            (To::Station, 50, "in the middle of the answer to COLLECT"),
        ] {
            let rig = Rig::new(suite, "SN-1");
            let quick = CollectSettings { away: Duration::from_millis(200), ..settings() };
            let slow = Act::Slow(Duration::from_micros(200));
            let told = rig.collect(&[slow, Act::PullForGood(to, at)], &quick);
            let why = told.outcome.unwrap_err();
            let port = rig.port.display();
            assert!(why.contains(&format!("{port} was unplugged {step}")), "{why}");
            assert!(why.contains("plug it in and collect it again: it gives the same answer"), "{why}");
        }
    }
}

#[test]
fn more_cuts_than_tries_fail_with_the_last_one() {
    let rig = Rig::new(Suite::EcAes, "SN-1");
    let (question, answer) = rig.said();
    let once = CollectSettings { tries: 1, ..settings() };
    let told = rig.collect(&[Act::Pull(To::Station, 10)], &once);
    assert!(told.again.is_empty());
    assert!(told.outcome.unwrap_err().contains("was unplugged"));
    while !rig.port.exists() {
        thread::sleep(Duration::from_millis(5));
    }
    // And nothing of it is left.
    let told = rig.collect(&[], &once);
    assert_eq!((rig.ended_well(&told, &answer), told.again.len()), (Ok(answer.clone()), 0));
    assert!(rig.is_clean(&question, &answer));
}

#[test]
fn a_port_with_nothing_plugged_in_and_one_that_another_has_are_told() {
    let rig = Rig::new(Suite::EcAes, "SN-1");
    let nothing = "serial:/nowhere/port?baud=9600".parse().unwrap();
    let told = crate::world::collect_in(rig.suite, &[nothing], &settings()).remove(0);
    assert!(told.outcome.unwrap_err().contains("nothing is plugged in at /nowhere/port"));
    let held = keyferry_station::link::SerialLine::open(&rig.port, 9_600).unwrap();
    let told = rig.collect(&[], &settings());
    assert!(told.outcome.unwrap_err().contains("another program uses the line"));
    drop(held);
    assert!(rig.collect(&[], &settings()).outcome.is_ok());
}
