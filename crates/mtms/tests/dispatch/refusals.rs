//! What is refused, by whom, and what the people at the MTMS then know.

use std::sync::Arc;

use hsm::HsmError;
use keyferry_mtms::{Dispatched, Error, Partner, RefusedBatch, SENT_BEFORE};
use serde_json::json;
use store::{Event, OrderStore as _};
use wire::Suite;

use crate::{
    played::{Play, Played},
    sites::{BANK, OTHER, SITES, VENDOR},
    world::{ORDER, World, card, order, serials},
};

fn event() -> Event {
    Event::new(1, "order.added", "test", "test", json!({}))
}

#[test]
fn terminals_that_the_kms_refuses_are_reported_and_spoil_no_other() {
    let world = World::collected(3);
    let bank = world.bank_store();
    // At the bank the order lists two of them alone.
    world.runtime.block_on(async {
        let listed = [serials(3)[0].clone(), serials(3)[2].clone()];
        bank.close_order(ORDER, event()).await.unwrap();
        bank.put_order(order("PO-2", VENDOR, BANK, &listed), event()).await.unwrap();
        world.store.close_order(ORDER, event()).await.unwrap();
        world.store.put_order(order("PO-2", VENDOR, BANK, &serials(3)), event()).await.unwrap();
    });
    let done = world.dispatch_order("PO-2", &world.partner(), 1000).unwrap();
    assert_eq!((done.accepted, done.refused.len()), (2, 1));
    assert_eq!((done.refused[0].sn.as_str(), done.refused[0].code.as_str()), ("SN-002", "not-in-order"));
    assert!(!done.refused[0].text.is_empty(), "people read why");
    let report = world.runtime.block_on(world.mtms().report("PO-2")).unwrap();
    assert_eq!((report.accepted, report.refused.len()), (2, 1));
    assert_eq!(report.reasons(), [("not-in-order".to_owned(), 1)]);
    assert_eq!(report.refused[0].sn, "SN-002");
    assert!(!report.is_complete());
    assert_eq!(world.at_bank("SN-002"), None);
}

#[test]
fn an_order_that_the_kms_does_not_know_stores_nothing_and_may_be_entered_later() {
    let world = World::collected(2);
    let bank = world.bank_store();
    let all = serials(2);
    world.runtime.block_on(async {
        world.store.close_order(ORDER, event()).await.unwrap();
        world.store.put_order(order("PO-2", VENDOR, BANK, &all), event()).await.unwrap();
    });
    // One batch is refused, and no other is made: the next would be refused alike.
    let refused = only_refused(world.dispatch_order("PO-2", &world.partner(), 1));
    assert_eq!(
        (refused.code.as_str(), refused.partner.as_str(), refused.terminals),
        ("wrong-order", BANK, 1)
    );
    assert!(refused.told().contains("Ask the buyer to enter the order"), "{}", refused.told());
    assert_eq!((world.events("batch.refused"), world.events("batch.made")), (1, 1));
    assert_eq!(world.at_bank("SN-001"), None);
    world.runtime.block_on(async {
        bank.close_order(ORDER, event()).await.unwrap();
        bank.put_order(order("PO-2", VENDOR, BANK, &all), event()).await.unwrap();
    });
    let done = world.dispatch_order("PO-2", &world.partner(), 1000).unwrap();
    assert_eq!((done.sent_again, done.accepted), (1, 2));
}

/// The one batch that was refused as a whole.
fn only_refused(done: Result<Dispatched, Error>) -> RefusedBatch {
    let mut refused = done.unwrap().refused_batches;
    assert_eq!(refused.len(), 1, "{refused:?}");
    refused.remove(0)
}

/// One bad batch, whatever is wrong with it, holds up nothing but its own terminals.
#[test]
fn a_batch_that_is_refused_as_a_whole_does_not_block_its_order() {
    for code in ["bad-content", "serial-twice", "wrong-mac", "bad-signature", "http-500"] {
        let mut world = World::new(4);
        world.collect(&serials(4)[..1], false);
        let always = (0..3).map(|_| Some(Play::Refused(code)));
        let first = only_refused(world.dispatch_to(&world.partner_at(Played::new(world.kms(), always)), 1));
        assert_eq!((first.code.as_str(), first.terminals), (code, 1));
        // What it says of itself is what its receipts will.
        assert_eq!(first.digest.len(), 64);
        world.collect(&serials(4)[1..], false);
        let kms = Played::new(world.kms(), [Some(Play::Refused(code))]);
        let done = world.dispatch_to(&world.partner_at(kms), 1).unwrap();
        assert_eq!(done.refused_batches, [first], "{code}: it is told again by the same name");
        assert_eq!((done.batches, done.accepted, done.sent_again), (3, 3, 0), "{code}");
        let report = world.report();
        assert_eq!((report.accepted, report.unanswered, report.to_send), (3, 1, 0), "{code}");
        world.assert_at_bank(&serials(4)[1..]);
        // It is kept, and may be taken one day.
        let done = world.dispatch().unwrap();
        assert_eq!((done.accepted, done.sent_again, world.report().is_complete()), (1, 1, true), "{code}");
    }
}

#[test]
fn what_is_wrong_in_one_new_batch_says_nothing_about_the_next() {
    let world = World::collected(3);
    let kms = Played::new(world.kms(), [Some(Play::Refused("bad-content"))]);
    let done = world.dispatch_to(&world.partner_at(kms), 1).unwrap();
    assert_eq!((done.refused_batches.len(), done.accepted), (1, 2));
    // A MAK that differs refuses every one: no more TKs are bound to batches under it.
    let world = World::collected(3);
    let kms = Played::new(world.kms(), [Some(Play::Refused("wrong-mac"))]);
    let done = world.dispatch_to(&world.partner_at(kms), 1).unwrap();
    assert_eq!((done.refused_batches.len(), done.accepted, world.events("batch.made")), (1, 0, 1));
    assert_eq!((world.report().to_send, world.report().unanswered), (2, 1));
}

#[test]
fn a_refused_batch_stays_and_is_the_next_one_sent() {
    let world = World::collected(2);
    let kms = Played::new(world.kms(), [Some(Play::Refused("card-revoked"))]);
    let partner = world.partner_at(kms.clone());
    assert_eq!(only_refused(world.dispatch_to(&partner, 1)).code, "card-revoked");
    assert_eq!(world.report().unanswered, 1);
    assert_eq!(world.dispatch_to(&partner, 1).unwrap().accepted, 2);
}

/// A batch whose card was revoked while it waited would stop its order for ever.
#[test]
fn a_batch_whose_card_was_revoked_is_signed_anew_by_another() {
    let world = World::collected(3);
    let kms = Played::new(world.kms(), []);
    let partner = world.partner_at(kms.clone());
    for _ in 0..2 {
        let refused = only_refused(world.dispatch_with("revoked", ORDER, &partner, 2));
        assert_eq!(refused.code, "card-revoked");
    }
    assert_eq!((world.at_bank("SN-001"), world.events("batch.signed-anew")), (None, 0));
    let done = world.dispatch_to(&partner, 2).unwrap();
    assert_eq!((done.sent_again, done.accepted), (1, 3));
    assert_eq!(world.events("batch.signed-anew"), 1);
    world.assert_at_bank(&serials(3));
}

/// The keys agreed with one buyer serve no other: the HSM says so.
#[test]
fn the_keys_of_another_buyer_are_refused_and_nothing_leaves() {
    let world = World::collected(1);
    let kms = Played::new(world.kms(), []);
    let other = &SITES.for_other;
    let with = |pk: &hsm::KeyBlock, mak: &hsm::KeyBlock| Partner {
        pk: pk.clone(),
        mak: mak.clone(),
        ..world.partner_at(kms.clone())
    };
    let own = &SITES.at_vendor;
    for partner in [
        with(&other.pk.block, &own.mak.block),
        with(&own.pk.block, &other.mak.block),
        with(&own.mak.block, &own.mak.block),
        with(&own.pk.block, &own.pk.block),
    ] {
        let refused = world.dispatch_to(&partner, 1000).unwrap_err();
        assert!(matches!(refused, Error::Hsm(HsmError::Refused(_))), "{refused}");
    }
    // Nor does a partner of another name get anything of this order.
    let other = Partner { name: OTHER.into(), ..with(&other.pk.block, &other.mak.block) };
    let refused = world.dispatch_to(&other, 1000).unwrap_err();
    assert!(matches!(refused, Error::OtherBuyer { ref buyer, .. } if buyer == BANK), "{refused}");
    assert!(kms.seen.lock().unwrap().is_empty());
    assert_eq!((world.events("batch.made"), world.report().to_send), (0, 1));
}

#[test]
fn an_order_of_another_vendor_is_refused() {
    let world = World::collected(1);
    let foreign = order("PO-3", "OTHER-VENDOR", BANK, &["SN-900".to_owned()]);
    world.runtime.block_on(world.store.put_order(foreign, event())).unwrap();
    let refused = world.dispatch_order("PO-3", &world.partner(), 1000).unwrap_err();
    assert!(
        matches!(refused, Error::OtherVendor { ref vendor, .. } if vendor == "OTHER-VENDOR"),
        "{refused}"
    );
}

#[test]
fn a_closed_order_gets_its_answers_and_no_new_batch() {
    let world = World::collected(3);
    let kms = Played::new(world.kms(), [Some(Play::AnswerLost)]);
    let partner = world.partner_at(kms.clone());
    world.dispatch_to(&partner, 2).unwrap_err();
    world.runtime.block_on(world.store.close_order(ORDER, event())).unwrap();
    let closed = world.dispatch_to(&partner, 2).unwrap_err();
    assert!(matches!(&closed, Error::OrderClosed { left: 1, .. }), "{closed}");
    let report = world.report();
    assert_eq!((report.accepted, report.to_send, report.open), (2, 1, false));
}

/// One KMS, once: a terminal that is resold is collected anew.
#[test]
fn a_tk_that_went_to_one_kms_never_goes_to_another() {
    let world = World::collected(1);
    world.dispatch().unwrap();
    let resold = order("PO-2", VENDOR, OTHER, &serials(1));
    world.runtime.block_on(async {
        world.store.close_order(ORDER, event()).await.unwrap();
        world.store.put_order(resold, event()).await.unwrap();
    });
    let kms = Played::new(world.kms(), []);
    let keys = &SITES.for_other;
    let (pk, mak) = (keys.pk.block.clone(), keys.mak.block.clone());
    let other = Partner { name: OTHER.into(), pk, mak, suite: Suite::TDES, kms: kms.clone() };
    let done = world.dispatch_order("PO-2", &other, 1000).unwrap();
    assert_eq!((done.batches, done.accepted), (0, 0));
    assert!(kms.seen.lock().unwrap().is_empty());
    let report = world.runtime.block_on(world.mtms().report("PO-2")).unwrap();
    assert_eq!(report.refused[0].code, SENT_BEFORE);
}

#[test]
fn a_tk_of_a_suite_without_agreed_keys_is_held_back_by_name() {
    let world = World::collected(2);
    let aes = Partner { suite: Suite::EC_AES, ..world.partner() };
    let done = world.dispatch_to(&aes, 1000).unwrap();
    assert_eq!((done.batches, done.held_back.len()), (0, 2));
    assert!(done.held_back[0].why.contains("suite 01"), "{}", done.held_back[0].why);
    assert_eq!(world.report().to_send, 2);
}

#[test]
fn a_card_of_another_role_signs_no_batch() {
    let refused = card("operator").unwrap_err();
    assert!(matches!(&refused, Error::CardRole { why, .. } if why.contains("operator")), "{refused}");
}

/// A server that does not have the buyer's TLS root behind it gets nothing.
#[test]
fn only_the_buyers_own_server_is_sent_anything() {
    let world = World::collected(1);
    let root = std::fs::read(SITES.other.path("ca/root.pem")).unwrap();
    let url = world.url().to_owned();
    let server = station::Server::new(&station::ServerSettings::new(url, root)).unwrap();
    let refused = world.dispatch_to(&world.partner_at(Arc::new(server)), 1000).unwrap_err();
    assert!(matches!(refused, Error::Kms(station::Error::ServerNotTrusted { .. })), "{refused}");
    assert_eq!(world.at_bank("SN-001"), None);
}
