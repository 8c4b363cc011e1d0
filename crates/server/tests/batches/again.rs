//! The same batch again: it is taken once, and its receipt is always the same.

use std::{thread, time::Duration};

use serde_json::json;

use super::{World, assert_refused, is, kms, line, options, told};
use crate::support::{
    estate::{ESTATE, valid},
    https::{self, CMS},
    package::signed,
    partner::{
        MTMS_CARD, VENDOR, VENDOR_01, VENDOR_02, close, content_digest, order, post_batch, take_order,
    },
    raw::Raw,
};
use pki::Role;

fn entries(count: usize) -> Vec<serde_json::Value> {
    (0..count).map(|n| VENDOR_01.entry(&Raw::new(&format!("SN-{n}")))).collect()
}

#[test]
fn a_replay_is_answered_with_the_same_receipt() {
    let (world, server) = kms(&[&VENDOR_01]);
    take_order(&server, &order("PO-1", VENDOR, Some(&["SN-0", "SN-1"])));
    let batch = VENDOR_01.maced(VENDOR_01.bare("PO-1", &entries(3)));
    let cms = signed(&MTMS_CARD, &batch);
    let first = post_batch(&server, &cms);
    assert_eq!(
        told(&first),
        [is("SN-0", true, "stored"), is("SN-1", true, "stored"), is("SN-2", false, "not-in-order")]
    );
    let receipt = VENDOR_01.receipt(&first);
    let stored = world.count("collections");
    // Now, a second later, when the order is closed, and signed by another card of the vendor's.
    let again = post_batch(&server, &cms);
    assert_refused(&again, 409, "received-before");
    assert_eq!(VENDOR_01.receipt(&again), receipt);
    thread::sleep(Duration::from_millis(1_100));
    assert_eq!(VENDOR_01.receipt(&post_batch(&server, &cms)), receipt);
    take_order(&server, &close("PO-1"));
    assert_eq!(VENDOR_01.receipt(&post_batch(&server, &cms)), receipt);
    let other_card = ESTATE.card(Role::Mtms, "Vendor MTMS 2", valid());
    let resigned = post_batch(&server, &signed(&other_card, &batch));
    assert_refused(&resigned, 409, "received-before");
    assert_eq!(VENDOR_01.receipt(&resigned), receipt);
    // And after a start.
    server.stop();
    let server = world.start(&options(&world, &[&VENDOR_01]));
    assert_eq!(VENDOR_01.receipt(&post_batch(&server, &cms)), receipt);
    assert_eq!((world.count("collections"), world.count("received_batches")), (stored, 1));
    assert_eq!(world.events("batch.received", &content_digest(&batch)).len(), 1);
    world.assert_audit_good();
}

#[test]
fn a_replay_of_suite_02_has_its_receipt_too() {
    let (_world, server) = kms(&[&VENDOR_01, &VENDOR_02]);
    take_order(&server, &order("PO-1", VENDOR, None));
    let cms = VENDOR_02.batch("PO-1", &[VENDOR_02.entry_ec(&crate::support::kms_ec::Ec::new("SN-1"))]);
    let receipt = VENDOR_02.receipt(&post_batch(&server, &cms));
    let again = post_batch(&server, &cms);
    assert_refused(&again, 409, "received-before");
    assert_eq!(VENDOR_02.receipt(&again), receipt);
}

#[test]
fn two_at_once_with_the_same_bytes_are_one_batch() {
    let (world, server) = kms(&[&VENDOR_01]);
    take_order(&server, &order("PO-1", VENDOR, None));
    let cms = VENDOR_01.batch("PO-1", &entries(20));
    let address = server.https;
    let answers: Vec<_> = thread::scope(|scope| {
        let sending: Vec<_> =
            (0..4).map(|_| scope.spawn(|| https::post(address, "/v1/batches", CMS, &cms))).collect();
        sending.into_iter().map(|sent| sent.join().unwrap()).collect()
    });
    let mut taken: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    taken.sort_unstable();
    assert_eq!(taken, [200, 409, 409, 409]);
    let receipts: Vec<_> = answers.iter().map(|answer| VENDOR_01.receipt(answer)).collect();
    assert!(receipts.windows(2).all(|pair| pair[0] == pair[1]), "{receipts:?}");
    assert_eq!((world.count("received_batches"), world.count("terminals")), (1, 20));
    world.assert_audit_good();
}

/// Waits until the database says so.
fn wait_for(world: &World, table: &str, rows: i64) {
    while world.count(table) < rows {
        thread::yield_now();
    }
}

#[test]
fn a_server_killed_between_commit_and_answer_gives_the_receipt_later() {
    let (world, server) = kms(&[&VENDOR_01]);
    take_order(&server, &order("PO-1", VENDOR, None));
    let batch = VENDOR_01.maced(VENDOR_01.bare("PO-1", &entries(3)));
    let cms = signed(&MTMS_CARD, &batch);
    // The HSM fails right after the commit: the receipt cannot be made.
    let options = options(&world, &[&VENDOR_01]);
    server.stop();
    let (server, switch) = world.start_switched(&options);
    switch.refuse("MacBatch", hsm::Refusal::BatchMac);
    let answer = post_batch(&server, &cms);
    assert_eq!(answer.status, 500, "{answer:?}");
    wait_for(&world, "received_batches", 1);
    assert_eq!(world.count("terminals"), 3, "it is stored");
    server.kill();
    let server = world.start(&options);
    let again = post_batch(&server, &cms);
    assert_refused(&again, 409, "received-before");
    let receipt = VENDOR_01.receipt(&again);
    let lines: Vec<_> = receipt["results"].as_array().unwrap().iter().map(line).collect();
    assert_eq!(lines, [is("SN-0", true, "stored"), is("SN-1", true, "stored"), is("SN-2", true, "stored")]);
    assert_eq!(receipt["batch"], json!(content_digest(&batch)));
    assert_eq!(VENDOR_01.receipt(&post_batch(&server, &cms)), receipt);
    world.assert_audit_good();
}

/// A failure of the HSM is ours: the batch may come again, whole.
#[test]
fn an_hsm_that_fails_on_one_entry_stores_nothing() {
    let (world, server) = kms(&[&VENDOR_01]);
    take_order(&server, &order("PO-1", VENDOR, None));
    server.stop();
    let (server, switch) = world.start_switched(&options(&world, &[&VENDOR_01]));
    let cms = VENDOR_01.batch("PO-1", &entries(3));
    for (command, refusal) in [
        ("ImportTk", hsm::Refusal::UnknownKey { what: "the protect key".into() }),
        ("CheckBatchMac", hsm::Refusal::UnknownKey { what: "the batch MAC key".into() }),
    ] {
        switch.refuse(command, refusal);
        let answer = post_batch(&server, &cms);
        assert_eq!((answer.status, answer.code()), (500, "internal"), "{command}: {answer:?}");
        crate::assert_nothing_stored(&world);
    }
    switch.allow();
    assert_eq!(post_batch(&server, &cms).status, 200);
}

#[test]
fn a_server_killed_in_the_middle_takes_the_batch_once() {
    let (world, server) = kms(&[&VENDOR_01]);
    take_order(&server, &order("PO-1", VENDOR, None));
    let cms = VENDOR_01.batch("PO-1", &entries(40));
    let address = server.https;
    let sending = {
        let cms = cms.clone();
        thread::spawn(move || {
            // Whatever comes back, or nothing.
            let _ = std::panic::catch_unwind(|| https::post(address, "/v1/batches", CMS, &cms));
        })
    };
    thread::sleep(Duration::from_millis(30));
    server.kill();
    sending.join().unwrap();
    let server = world.start(&options(&world, &[&VENDOR_01]));
    let answer = post_batch(&server, &cms);
    assert!([200, 409].contains(&answer.status), "{answer:?}");
    let receipt = VENDOR_01.receipt(&answer);
    assert_eq!(VENDOR_01.receipt(&post_batch(&server, &cms)), receipt);
    assert_eq!((world.count("received_batches"), world.count("terminals")), (1, 40));
    world.assert_audit_good();
}
