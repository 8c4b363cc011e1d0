//! Batches, receipts and orders, as they are written and read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use keyferry_batch::{
    Answer, Batch, BatchError, Close, Entry, NewOrder, Order, Outcome, Receipt, Received, Refused, canonical,
    limits,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn entry(sn: &str) -> Entry {
    Entry {
        sn: sn.into(),
        pin_pad_sn: None,
        vendor: Some("ACME".into()),
        model: Some("T-1".into()),
        tek: "B0096K1TB00N0100".into(),
        auk: "B0096D0TB00N0100".into(),
        work_certificate_sha256: "0a".repeat(32),
        replaces: false,
        fingerprint: None,
        generation: None,
        device: None,
    }
}

fn batch() -> Batch {
    Batch {
        version: 1,
        suite: None,
        order: "PO-1".into(),
        collected_at: "2026-03-01T00:00:00Z".into(),
        terminals: vec![entry("SN-1"), entry("SN-2")],
        mac: "0123456789ABCDEF".into(),
    }
}

/// Written down by hand from 2-wire.md section 6 and RFC 8785: names sorted, no space, `mac` left out.
#[test]
fn a_mac_is_over_the_canonical_object_without_mac() {
    let mut one = batch();
    one.terminals.truncate(1);
    let by_hand = format!(
        "{{\"collected_at\":\"2026-03-01T00:00:00Z\",\"order\":\"PO-1\",\"terminals\":[{{\"auk\":\"B0096D0TB00N0100\",\
         \"model\":\"T-1\",\"sn\":\"SN-1\",\"tek\":\"B0096K1TB00N0100\",\"vendor\":\"ACME\",\
         \"work_certificate_sha256\":\"{}\"}}],\"version\":1}}",
        "0a".repeat(32)
    );
    assert_eq!(String::from_utf8(one.covered().unwrap()).unwrap(), by_hand);
    assert_eq!(Batch::read(&one.content().unwrap()).unwrap().covered, by_hand.into_bytes());
}

#[test]
fn a_batch_reads_back_whatever_its_white_space_and_order_of_names() {
    let written = batch();
    let value = serde_json::to_value(&written).unwrap();
    for text in [written.content().unwrap(), serde_json::to_vec_pretty(&value).unwrap()] {
        let read = Batch::read(&text).unwrap();
        assert_eq!(read.batch, written);
        assert_eq!(read.covered, written.covered().unwrap());
    }
}

#[test]
fn members_that_are_not_known_are_covered_by_the_mac() {
    let mut value = serde_json::to_value(batch()).unwrap();
    value["shift"] = json!("night");
    value["terminals"][0]["lane"] = json!(7);
    let read = Batch::read(&serde_json::to_vec(&value).unwrap()).unwrap();
    value.as_object_mut().unwrap().remove("mac");
    assert_eq!(read.covered, canonical(&value).unwrap());
    assert_ne!(read.covered, batch().covered().unwrap());
}

#[test]
fn a_batch_of_suite_02_has_the_longer_mac_and_its_own_members() {
    let mut two = batch();
    two.suite = Some(2);
    assert!(matches!(two.content(), Err(BatchError::Member { member: "mac", .. })));
    two.mac = "0123456789ABCDEF".repeat(2);
    two.terminals[0].generation = Some("7".into());
    two.terminals[0].device = Some("MIIB".into());
    let read = Batch::read(&two.content().unwrap()).unwrap().batch;
    assert_eq!((read.suite(), batch().suite()), (2, 1));
    assert_eq!(read, two);
}

fn refused(change: impl FnOnce(&mut Value)) -> BatchError {
    let mut value = serde_json::to_value(batch()).unwrap();
    change(&mut value);
    Batch::read(&serde_json::to_vec(&value).unwrap()).unwrap_err()
}

#[test]
fn what_no_batch_can_be_is_refused_by_name() {
    assert!(matches!(refused(|b| b["version"] = json!(2)), BatchError::Version(2)));
    assert!(matches!(refused(|b| b["suite"] = json!(3)), BatchError::Member { member: "suite", .. }));
    assert!(matches!(refused(|b| b["order"] = json!("PO 1")), BatchError::Member { member: "order", .. }));
    assert!(matches!(
        refused(|b| b["mac"] = json!("0123456789abcdef")),
        BatchError::Member { member: "mac", .. }
    ));
    assert!(matches!(
        refused(|b| b.as_object_mut().unwrap().remove("mac").map(drop).unwrap()),
        BatchError::Member { member: "mac", .. }
    ));
    assert!(matches!(
        refused(|b| b["terminals"] = json!([])),
        BatchError::Member { member: "terminals", .. }
    ));
    assert!(matches!(refused(|b| b["terminals"] = json!([["SN-1"]])), BatchError::Json(_)));
    assert!(matches!(refused(|b| b["terminals"][0]["sn"] = json!(1)), BatchError::Json(_)));
    assert!(matches!(Batch::read(b"[1]"), Err(BatchError::Json(_))));
    assert!(matches!(Batch::read(b"{"), Err(BatchError::Json(_))));
}

#[test]
fn an_array_in_place_of_an_entry_is_refused() {
    let mut value = serde_json::to_value(batch()).unwrap();
    value["terminals"][0] = json!(["SN-1", null, null, null, "T", "A", "c", false, null, null, null]);
    let refused = Batch::read(&serde_json::to_vec(&value).unwrap()).unwrap_err();
    assert!(matches!(refused, BatchError::Member { member: "terminals", .. }), "{refused}");
}

#[test]
fn a_name_twice_is_refused_since_the_mac_would_not_tell_which() {
    let text = String::from_utf8(batch().content().unwrap()).unwrap();
    let twice = text.replacen("\"order\":\"PO-1\"", "\"order\":\"PO-1\",\"order\":\"PO-2\"", 1);
    assert!(Batch::read(twice.as_bytes()).unwrap_err().to_string().contains("stands twice"));
}

#[test]
fn a_batch_has_up_to_its_limit_of_terminals() {
    let mut many = batch();
    many.terminals = vec![entry("SN"); limits::TERMINALS];
    assert!(many.content().is_ok());
    many.terminals.push(entry("SN"));
    assert!(matches!(many.content(), Err(BatchError::TooMany { limit: limits::TERMINALS, .. })));
}

fn receipt() -> Receipt {
    let line = |sn: &str, ok, code: &str| Outcome {
        sn: sn.into(),
        ok,
        code: code.into(),
        text: String::new(),
        fingerprint: None,
    };
    Receipt {
        version: 1,
        order: "PO-1".into(),
        batch: "ab".repeat(32),
        received_at: "2026-03-01T00:00:01Z".into(),
        results: vec![line("SN-1", true, "stored"), line("SN-2", false, "not-in-order")],
        mac: "0123456789ABCDEF".into(),
    }
}

#[test]
fn a_receipt_is_found_in_either_answer() {
    let mut results = receipt().results;
    results[0].text = "stored".into();
    let answer = Answer { results, receipt: receipt() };
    let again = Received {
        error: Refused { code: "received-before".into(), text: "came before".into() },
        receipt: receipt(),
    };
    assert_eq!(Receipt::read(&serde_json::to_vec(&answer).unwrap()).unwrap(), receipt());
    assert_eq!(Receipt::read(&serde_json::to_vec(&again).unwrap()).unwrap(), receipt());
    assert_eq!(Answer::read(&serde_json::to_vec(&answer).unwrap()).unwrap(), answer);
    assert!(Receipt::read(br#"{"error":{"code":"wrong-mac","text":""}}"#).is_err());
}

#[test]
fn a_receipts_mac_is_over_all_but_itself() {
    let by_hand = format!(
        "{{\"batch\":\"{}\",\"order\":\"PO-1\",\"received_at\":\"2026-03-01T00:00:01Z\",\"results\":[{{\"code\":\"stored\",\
         \"ok\":true,\"sn\":\"SN-1\"}},{{\"code\":\"not-in-order\",\"ok\":false,\"sn\":\"SN-2\"}}],\"version\":1}}",
        "ab".repeat(32)
    );
    assert_eq!(String::from_utf8(receipt().covered().unwrap()).unwrap(), by_hand);
    let unsigned = Receipt { mac: String::new(), ..receipt() };
    assert_eq!(unsigned.covered().unwrap(), receipt().covered().unwrap());
}

fn order(serials: Option<Vec<String>>) -> NewOrder {
    NewOrder {
        version: 1,
        order: "PO-1".into(),
        vendor: "VENDOR".into(),
        buyer: "BANK".into(),
        model: "M1".into(),
        serials,
    }
}

#[test]
fn orders_read_back() {
    for document in [
        Order::Order(order(Some(vec!["A".into(), "B".into()]))),
        Order::Order(order(None)),
        Order::Close(Close { version: 1, order: "PO-1".into() }),
    ] {
        assert_eq!(Order::read(&document.content().unwrap()).unwrap(), document);
        assert_eq!(document.name(), "PO-1");
    }
    let as_agreed =
        br#"{"version":1,"kind":"order","order":"PO-1","vendor":"VENDOR","buyer":"BANK","model":"M1",
        "serials":["A","B"]}"#;
    let Order::Order(new) = Order::read(as_agreed).unwrap() else { panic!("an order") };
    assert_eq!(new.serials().unwrap().unwrap().len(), 2);
    let close = br#"{"version":1,"kind":"close","order":"PO-1"}"#;
    assert!(matches!(Order::read(close), Ok(Order::Close(_))));
}

#[test]
fn what_no_order_can_be_is_refused_by_name() {
    let why = |order: NewOrder| Order::Order(order).content().unwrap_err();
    let list = |serials: &[&str]| order(Some(serials.iter().map(ToString::to_string).collect()));
    assert!(matches!(why(list(&["A", "B", "A"])), BatchError::SerialTwice(sn) if sn == "A"));
    assert!(matches!(why(list(&[])), BatchError::Member { member: "serials", .. }));
    assert!(matches!(why(list(&["A B"])), BatchError::Member { member: "serials", .. }));
    assert!(matches!(why(NewOrder { version: 2, ..order(None) }), BatchError::Version(2)));
    assert!(matches!(
        why(NewOrder { order: "x".repeat(33), ..order(None) }),
        BatchError::Member { member: "order", .. }
    ));
    assert!(matches!(
        why(NewOrder { model: "x".repeat(21), ..order(None) }),
        BatchError::Member { member: "model", .. }
    ));
    let unknown = br#"{"version":1,"kind":"close","order":"PO-1","all":true}"#;
    assert!(matches!(Order::read(unknown), Err(BatchError::Json(_))));
    assert!(Order::read(br#"["order"]"#).is_err());
}

#[test]
fn an_order_has_up_to_its_limit_of_serials() {
    let many = |count: usize| order(Some((0..count).map(|n| format!("SN{n}")).collect()));
    assert!(Order::Order(many(limits::SERIALS)).content().is_ok());
    let one_more = Order::Order(many(limits::SERIALS + 1)).content();
    assert!(matches!(one_more, Err(BatchError::TooMany { limit: limits::SERIALS, .. })));
}

proptest! {
    /// Whatever comes is read or refused.
    #[test]
    fn nothing_from_outside_panics(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = (Batch::read(&bytes), Receipt::read(&bytes), Order::read(&bytes), Answer::read(&bytes));
    }

    /// A change of any byte of a batch changes what the MAC is over, or the document is refused, or it was white space
    /// or another writing of the same text.
    #[test]
    fn one_byte_changed_is_not_the_same_batch(at in 0_usize..600, to in any::<u8>()) {
        let good = batch();
        let mut bytes = good.content().unwrap();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        if let Ok(read) = Batch::read(&bytes) {
            prop_assert!(read.covered != good.covered().unwrap() || read.batch.mac != good.mac);
        }
    }
}
