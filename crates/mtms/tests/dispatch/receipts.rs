//! A receipt is believed only when it is good, and for this very batch.

use keyferry_mtms::Error;

use crate::{
    played::{Play, Played},
    world::{World, serials},
};

/// Dispatches with this answer to the first batch; then nothing was believed, and the true receipt still comes.
fn refused(change: impl Fn(String) -> String + Send + 'static) -> Error {
    let world = World::collected(2);
    let kms = Played::new(world.kms(), [Some(Play::Changed(Box::new(change)))]);
    let refused = world.dispatch_to(&world.partner_at(kms.clone()), 1000).unwrap_err();
    assert_eq!((world.report().unanswered, world.report().accepted), (2, 0), "{refused}");
    assert_eq!((world.events("batch.answered"), world.events("batch.receipt-refused")), (0, 1));
    assert_eq!(world.dispatch_to(&world.partner_at(kms), 1000).unwrap().accepted, 2);
    refused
}

#[test]
fn a_receipt_with_a_changed_mac_is_refused_by_name() {
    let error = refused(|body| {
        let at = body.rfind("\"mac\":\"").unwrap() + 7;
        let digit = if body.as_bytes()[at] == b'0' { "1" } else { "0" };
        format!("{}{digit}{}", &body[..at], &body[at + 1..])
    });
    assert!(matches!(&error, Error::ReceiptMac { partner, .. } if partner == "BANK"), "{error}");
}

#[test]
fn a_receipt_with_its_mac_in_lower_case_or_a_time_that_is_none_is_refused_by_name() {
    let mac = refused(|body| {
        let at = body.rfind("\"mac\":\"").unwrap() + 7;
        // A MAC without a letter would be the same in lower case.
        format!("{}a{}", &body[..at], &body[at + 1..])
    });
    assert!(matches!(&mac, Error::ReceiptMalformed { why, .. } if why.contains("upper-case")), "{mac}");
    let time = refused(|body| {
        let at = body.find("\"received_at\":\"").unwrap() + 15;
        format!("{}yesterday {}", &body[..at], &body[at + 10..])
    });
    assert!(matches!(&time, Error::ReceiptMalformed { why, .. } if why.contains("RFC 3339")), "{time}");
}

/// The KMS refused one; somebody on the way says that it took it.
#[test]
fn a_receipt_whose_results_were_changed_has_a_wrong_mac() {
    let error = refused(|body| {
        let (results, receipt) = body.split_once("\"receipt\":").unwrap();
        format!("{results}\"receipt\":{}", receipt.replacen("\"ok\":true", "\"ok\":false", 1))
    });
    assert!(matches!(error, Error::ReceiptMac { .. }), "{error}");
}

#[test]
fn the_receipt_of_another_batch_is_refused_by_name() {
    let world = World::collected(2);
    let kms = Played::new(world.kms(), [None, Some(Play::ReceiptOfTheOneBefore)]);
    let error = world.dispatch_to(&world.partner_at(kms.clone()), 1).unwrap_err();
    assert!(matches!(error, Error::ReceiptForAnotherBatch { .. }), "{error}");
    let report = world.report();
    assert_eq!((report.accepted, report.unanswered), (1, 1));
    assert_eq!(world.dispatch_to(&world.partner_at(kms), 1).unwrap().sent_again, 1);
    world.assert_at_bank(&serials(2));
}

#[test]
fn an_answer_without_a_receipt_is_refused_by_name() {
    for body in ["{}", "", "<html>", r#"{"results":[]}"#] {
        let error = refused(move |_| body.to_owned());
        assert!(matches!(error, Error::ReceiptMalformed { .. }), "{body}: {error}");
    }
}

#[test]
fn a_receipt_of_another_order_or_of_other_terminals_is_refused_by_name() {
    let order = refused(|body| body.replace("\"order\":\"PO-1\"", "\"order\":\"PO-2\""));
    assert!(matches!(&order, Error::ReceiptDoesNotFit { why, .. } if why.contains("PO-2")), "{order}");
    let (results, terminals) = (r#"{"results":["#, "SN-001");
    let other = refused(move |body| {
        assert!(body.starts_with(results), "{body}");
        body.replace(terminals, "SN-777")
    });
    assert!(matches!(&other, Error::ReceiptDoesNotFit { why, .. } if why.contains("SN-777")), "{other}");
}

/// Texts are shown to people; what a receipt does not say is no result.
#[test]
fn texts_beside_the_receipt_decide_nothing() {
    let world = World::collected(1);
    let change = |body: String| {
        let (results, receipt) = body.split_once("\"receipt\":").unwrap();
        format!("{}\"receipt\":{receipt}", results.replacen("\"ok\":true", "\"ok\":false", 1))
    };
    let kms = Played::new(world.kms(), [Some(Play::Changed(Box::new(change)))]);
    assert_eq!(world.dispatch_to(&world.partner_at(kms), 1).unwrap().accepted, 1);
}
