//! The KMS is away, answers are lost, the process ends between any two steps: each TK reaches the KMS once.

use std::sync::{Arc, Mutex};

use keyferry_mtms::{Error, Kms};
use station::BatchAnswer;

use crate::{
    played::{Play, Played, unreachable},
    world::{World, serials},
};

#[test]
fn a_batch_that_did_not_arrive_is_sent_again_byte_for_byte() {
    let world = World::collected(3);
    let kms = Played::new(world.kms(), [Some(Play::Away)]);
    let partner = world.partner_at(kms.clone());
    let away = world.dispatch_to(&partner, 2).unwrap_err();
    assert!(matches!(away, Error::Kms(station::Error::ServerUnreachable { .. })), "{away}");
    let told = away.to_string();
    assert!(told.ends_with("the batch stays in the database; run mtms dispatch again"), "{told}");
    assert!(!told.contains("journal") && !told.contains("upload"), "{told}");
    let report = world.report();
    assert_eq!((report.unanswered, report.accepted), (2, 0), "it was kept before it left");
    assert_eq!(world.at_bank("SN-001"), None);

    let done = world.dispatch_to(&partner, 2).unwrap();
    assert_eq!((done.batches, done.sent_again, done.accepted), (2, 1, 3));
    let seen = kms.seen.lock().unwrap();
    assert_eq!(seen[0], seen[1]);
    world.assert_at_bank(&serials(3));
}

#[test]
fn an_answer_that_was_lost_comes_again_as_the_receipt_of_a_409() {
    let world = World::collected(3);
    let kms = Played::new(world.kms(), [Some(Play::AnswerLost)]);
    let partner = world.partner_at(kms.clone());
    world.dispatch_to(&partner, 1000).unwrap_err();
    // It has them already; nobody here knows.
    world.assert_at_bank(&serials(3));
    assert_eq!(world.report().unanswered, 3);
    let answer = world.kms().send(&kms.seen.lock().unwrap()[0]).unwrap();
    assert!(matches!(answer, BatchAnswer::Before(_)), "{answer:?}");

    let done = world.dispatch_to(&partner, 1000).unwrap();
    assert_eq!((done.batches, done.sent_again, done.accepted), (1, 1, 3));
    assert!(world.report().is_complete());
    world.assert_at_bank(&serials(3));
}

#[test]
fn a_kms_that_is_down_stops_a_dispatch_and_one_that_is_up_again_gets_all() {
    let mut world = World::collected(4);
    world.stop_bank();
    for _ in 0..3 {
        let down = world.dispatch_to(&world.partner(), 2).unwrap_err();
        assert!(matches!(down, Error::Kms(station::Error::ServerUnreachable { .. })), "{down}");
    }
    assert_eq!(world.events("batch.made"), 1, "it makes no more while the first is not answered");
    world.start_bank();
    let done = world.dispatch_to(&world.partner(), 2).unwrap();
    assert_eq!((done.sent_again, done.accepted), (1, 4));
    world.assert_at_bank(&serials(4));
}

/// Gives up at the n-th call, before or after it was passed on, as a process that is killed there would.
struct Dying {
    kms: Arc<dyn Kms>,
    left: Mutex<usize>,
    after: bool,
}

impl Kms for Dying {
    fn send(&self, package: &[u8]) -> Result<BatchAnswer, Error> {
        let mut left = self.left.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            return self.kms.send(package);
        }
        if self.after {
            self.kms.send(package)?;
        }
        Err(unreachable())
    }
}

#[test]
fn r37_ended_at_each_step_it_goes_on_and_each_terminal_arrives_once() {
    const COUNT: usize = 7;
    for after in [false, true] {
        let world = World::collected(COUNT);
        let mut dispatches = 0;
        for survives in 0.. {
            let kms = Arc::new(Dying { kms: world.kms(), left: Mutex::new(survives % 2), after });
            dispatches += 1;
            // One batch more each time, and then it dies.
            if world.dispatch_to(&world.partner_at(kms), 1).is_ok() {
                break;
            }
            assert!(survives < 3 * COUNT, "it never ends");
        }
        assert!(dispatches > COUNT / 2);
        assert!(world.report().is_complete());
        world.assert_at_bank(&serials(COUNT));
        let bank = world.bank_store();
        let batches = world.runtime.block_on(store::OrderStore::received_batches(&bank, "PO-1", None, 100));
        let batches = batches.unwrap();
        assert_eq!(batches.len(), COUNT);
        assert!(batches.iter().all(|batch| (batch.terminals, batch.accepted) == (1, 1)));
    }
}

#[test]
fn two_dispatches_at_once_give_each_terminal_once() {
    const COUNT: usize = 12;
    let world = World::collected(COUNT);
    for outcome in world.dispatch_twice_at_once(3) {
        assert!(matches!(outcome, Ok(_) | Err(Error::Raced { .. })), "{outcome:?}");
    }
    world.dispatch_to(&world.partner(), 3).unwrap();
    assert!(world.report().is_complete());
    world.assert_at_bank(&serials(COUNT));
    let bank = world.bank_store();
    let batches = world.runtime.block_on(store::OrderStore::received_batches(&bank, "PO-1", None, 100));
    let terminals: u64 = batches.unwrap().iter().map(|batch| batch.terminals).sum();
    assert_eq!(terminals, COUNT as u64);
}
