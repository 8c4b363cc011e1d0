//! What an order's way should be.

use keyferry_mtms::Error;

use crate::{
    played::Played,
    world::{ORDER, World, serials},
};

#[test]
fn an_order_reaches_its_buyer_with_the_terminals_own_keys() {
    let world = World::collected(5);
    let done = world.dispatch_to(&world.partner(), 2).unwrap();
    assert_eq!((done.batches, done.accepted, done.sent_again), (3, 5, 0));
    assert!(done.refused.is_empty() && done.held_back.is_empty() && done.awaiting.is_empty());
    world.assert_at_bank(&serials(5));
    for sn in serials(5) {
        let here = world.runtime.block_on(store::Store::terminal(&*world.store, &crate::world::serial(&sn)));
        assert_eq!(world.at_bank(&sn), Some((here.unwrap().unwrap().fingerprint, 1)), "{sn}");
    }
    let report = world.report();
    assert!(report.is_complete(), "{report:?}");
    assert_eq!((report.listed, report.collected, report.sent, report.accepted), (5, 5, 5, 5));
    assert_eq!((world.events("batch.made"), world.events("batch.answered")), (3, 3));
}

/// Both ends have the same TEK and AUK, by check values that the HSMs give.
#[test]
fn the_keys_at_the_kms_are_those_of_the_terminals() {
    use hsm::{
        Client, Hsm as _, KeyBlock,
        commands::{TkCheckValues, TkSource, TransportKeyBlocks},
    };
    use store::TkRecord;

    let world = World::collected(3);
    world.dispatch().unwrap();
    let bank = world.bank_store();
    for sn in serials(3) {
        let terminal = world.runtime.block_on(store::Store::terminal(&bank, &crate::world::serial(&sn)));
        let TkRecord::Blocks { tek, auk } = terminal.unwrap().unwrap().tk else { panic!("no blocks") };
        let (tek, auk) = (KeyBlock::from_text(tek), KeyBlock::from_text(auk));
        let tk = TkSource::Held(TransportKeyBlocks { tek, auk });
        let (pin_pad, owner) = (sn.clone(), crate::sites::BANK.into());
        let values = world.runtime.block_on(async {
            let hsm = Client::connect(&crate::sites::SITES.bank.socket()).await.unwrap();
            hsm.call(TkCheckValues { tk, pin_pad, owner }).await.unwrap()
        });
        let own = &world.tks[&sn][0];
        assert_eq!(values.tek, own.tek().key().kcv(), "{sn}");
        assert_eq!(values.auk, own.auk().key().kcv(), "{sn}");
    }
}

/// TK belongs to the PIN pad, and its blocks name it at both ends.
#[test]
fn an_external_pin_pad_travels_with_its_terminal() {
    let mut world = World::new(1);
    let pad = crate::world::serial("PP-9");
    world.collect_devices(
        &[wire::Device::new(crate::world::serial("SN-001"), Some(pad.clone())).unwrap()],
        false,
    );
    assert_eq!(world.dispatch().unwrap().accepted, 1);
    let bank = world.bank_store();
    let there = world.runtime.block_on(store::Store::terminal(&bank, &crate::world::serial("SN-001")));
    assert_eq!(there.unwrap().unwrap().pin_pad, Some(pad));
}

#[test]
fn what_is_missing_is_named_and_comes_later() {
    let mut world = World::new(4);
    world.collect(&serials(2), false);
    assert_eq!(world.dispatch().unwrap().accepted, 2);
    let report = world.report();
    assert_eq!(report.missing, ["SN-003", "SN-004"]);
    assert_eq!((report.collected, report.accepted, report.to_send), (2, 2, 0));
    assert!(!report.is_complete());
    world.collect(&serials(4)[2..], false);
    assert_eq!(world.report().to_send, 2);
    assert_eq!(world.dispatch().unwrap().accepted, 2);
    assert!(world.report().is_complete());
    world.assert_at_bank(&serials(4));
}

#[test]
fn dispatching_again_sends_nothing_twice() {
    let world = World::collected(3);
    world.dispatch().unwrap();
    let kms = Played::new(world.kms(), []);
    let done = world.dispatch_to(&world.partner_at(kms.clone()), 1000).unwrap();
    assert_eq!((done.batches, done.accepted), (0, 0));
    assert!(kms.seen.lock().unwrap().is_empty());
}

#[test]
fn an_order_that_is_not_there_and_a_batch_of_no_size_are_refused_by_name() {
    let world = World::collected(1);
    let unknown = world.dispatch_order("PO-9", &world.partner(), 10).unwrap_err();
    assert!(matches!(unknown, Error::NoOrder { order } if order == "PO-9"));
    for found in [0, 1001] {
        let size = world.dispatch_to(&world.partner(), found).unwrap_err();
        assert!(matches!(size, Error::BatchSize { found: f, most: 1000 } if f == found), "{size}");
    }
    assert_eq!(world.events("batch.made"), 0);
    assert_eq!(world.dispatch_order(ORDER, &world.partner(), 1000).unwrap().accepted, 1);
}
