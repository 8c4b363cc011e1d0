//! Large orders and batches: within the largest upload, and one batch after another.

use std::fmt::Write as _;

use serde_json::json;

use super::{kms, told};
use crate::support::{
    kms_ec::by_both,
    partner::{VENDOR, VENDOR_01, order, post_batch, post_order, take_order},
    raw::Raw,
    world::results,
};

#[test]
fn an_order_of_many_serials_is_one_upload() {
    let (world, server) = kms(&[&VENDOR_01]);
    let serials: Vec<String> = (0..50_000).map(|n| format!("SN-{n:06}")).collect();
    let mut document = order("PO-1", VENDOR, None);
    document["serials"] = json!(serials);
    take_order(&server, &document);
    assert_eq!(world.count("order_serials"), 50_000);
    // What is longer than this server takes (1 MiB in these tests) is refused as such.
    let more = (0..).map(|n| format!("S{n:030}")).take(32_000).fold(String::new(), |mut text, sn| {
        write!(text, "{sn} ").unwrap();
        text
    });
    let more: Vec<&str> = more.split_whitespace().collect();
    let answer = post_order(&server, &by_both(&order("PO-2", VENDOR, Some(&more))));
    assert_eq!((answer.status, answer.code()), (413, "too-large"), "{answer:?}");
}

#[test]
fn a_batch_of_a_thousand_is_taken_with_a_receipt_for_each() {
    let (world, server) = kms(&[&VENDOR_01]);
    take_order(&server, &order("PO-1", VENDOR, None));
    let entries: Vec<_> = (0..1_000).map(|n| VENDOR_01.entry(&Raw::new(&format!("SN-{n:04}")))).collect();
    let answer = post_batch(&server, &VENDOR_01.batch("PO-1", &entries));
    assert!(told(&answer).iter().all(|(_, ok, code)| *ok && code == "stored"));
    assert_eq!((results(&answer).len(), world.count("terminals")), (1_000, 1_000));
    assert_eq!(VENDOR_01.receipt(&answer)["results"].as_array().unwrap().len(), 1_000);
    world.assert_audit_good();
}
