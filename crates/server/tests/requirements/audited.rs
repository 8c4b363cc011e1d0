//! R30: no audit, no operation, whatever is wrong with the audit, and soon told. R31: what is done is in the audit.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    support::{
        estate::{ACQUIRER, ESTATE, now},
        line::End,
        package::{entry, package, signed},
        raw::Raw,
        world::{Options, World},
    },
    yard::{OPERATIONS, Yard},
};

/// Longest that an operation may take when the audit does not answer: the store's wait of 5 s and the flow's own.
const BOUND: Duration = Duration::from_secs(20);

/// All of them at once: whether each was done, and how long the longest took.
fn all(yard: &Yard) -> (Vec<(&'static str, bool)>, Duration) {
    let began = Instant::now();
    let done = thread::scope(|scope| {
        let started =
            OPERATIONS.map(|operation| (operation.name, scope.spawn(move || (operation.act)(yard))));
        started.map(|(name, thread)| (name, thread.join().unwrap())).to_vec()
    });
    (done, began.elapsed())
}

fn assert_none_was_done(yard: &Yard, why: &str) {
    let before = yard.keys();
    let (done, took) = all(yard);
    for (name, done) in done {
        assert!(!done, "{name} was done, though {why}");
    }
    assert!(took < BOUND, "{why}: {took:?}");
    assert_eq!(yard.keys(), before, "{why}");
}

#[test]
fn r30_with_a_full_disk_nothing_is_done() {
    let (yard, _server) = Yard::new();
    let sql = "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    yard.world.sql().execute_batch(sql).unwrap();
    assert_none_was_done(&yard, "the disk is full");
    yard.world.sql().execute_batch("DROP TRIGGER full").unwrap();
    let (done, _) = all(&yard);
    assert!(done.iter().all(|(_, done)| *done), "{done:?}");
    yard.world.assert_audit_good();
}

#[test]
fn r30_with_a_slow_audit_nothing_is_done_and_it_is_told_in_time() {
    let (yard, _server) = Yard::new();
    // Another process holds the file's only writing place.
    let slow = yard.world.sql();
    slow.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_none_was_done(&yard, "the audit is slow");
    slow.execute_batch("ROLLBACK").unwrap();
    let (done, _) = all(&yard);
    assert!(done.iter().all(|(_, done)| *done), "{done:?}");
    yard.world.assert_audit_good();
}

#[test]
fn r31_every_operation_leaves_its_events_with_who_what_when_and_which_device() {
    let (yard, _server) = Yard::new();
    for operation in &OPERATIONS {
        let before = yard.world.audit().len();
        assert!((operation.act)(&yard), "{}", operation.name);
        let events = yard.world.audit().split_off(before);
        let kinds: Vec<_> =
            events.iter().map(|event| (event.kind.as_str(), event.subject.as_str())).collect();
        let mut left = kinds.iter();
        for (kind, subject) in operation.leaves {
            assert!(
                left.any(|(found, about)| found == kind && about.starts_with(subject)),
                "{}: {kind} is not in {kinds:?}",
                operation.name
            );
        }
        for event in &events {
            assert!(!event.actor.is_empty() && !event.subject.is_empty(), "{event:?}");
        }
    }
    let at: Vec<i64> = {
        let sql = yard.world.sql();
        let mut rows = sql.prepare("SELECT at FROM audit WHERE actor NOT IN ('test')").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let lately = (now() - 600) * 1000..=(now() + 60) * 1000;
    assert!(at.iter().filter(|at| **at != 0).all(|at| lately.contains(at)), "{at:?}");
    yard.world.assert_audit_good();
}

#[test]
fn r31_the_server_says_when_it_begins_and_when_it_ends() {
    let world = World::new();
    world.start(&Options::default()).stop();
    for kind in ["server.started", "server.stopped"] {
        assert_eq!(world.events(kind, ACQUIRER).len(), 1, "{kind}");
    }
    world.assert_audit_good();
}

#[test]
fn r31_a_refusal_is_in_the_audit_with_its_reason() {
    let (yard, server) = Yard::new();
    let foreign = signed(&ESTATE.foreign_operator(), &package(&[entry(&Raw::new("SN-X"))]));
    assert_eq!(server.upload(&foreign).status, 403);
    assert_eq!(Raw::new("SN-X").intrude(server.terminals, 0), End::Code(0x0006));
    server.stop();
    for kind in ["upload.refused", "terminal.refused"] {
        let refused = yard.world.audit().into_iter().find(|event| event.kind == kind).unwrap();
        assert_eq!(refused.actor, "127.0.0.1", "{kind}");
        assert!(refused.detail["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{refused:?}");
    }
}
