//! Orders: two people enter and close them; what is not this server's is refused by name.

use pki::Role;
use serde_json::{Value, json};

use super::{World, assert_refused, kms};
use crate::support::{
    estate::{ESTATE, valid},
    kms_ec::{by_both, signed_by_both},
    package::signed,
    partner::{VENDOR, VENDOR_01, close, order, post_order, take_order},
    world::Server,
};

fn serve() -> (World, Server) {
    kms(&[&VENDOR_01])
}

fn good() -> Value {
    order("PO-1", VENDOR, Some(&["SN-1", "SN-2"]))
}

fn no_orders(world: &World) {
    assert_eq!((world.count("orders"), world.count("order_serials")), (0, 0));
    assert!(world.audit().iter().all(|event| event.kind != "order.added"));
}

#[test]
fn an_order_is_entered_and_closed_by_two_people() {
    let (world, server) = serve();
    let answer = post_order(&server, &by_both(&good()));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.json["text"].as_str().unwrap().contains("2 terminals"));
    let added = world.events("order.added", "PO-1");
    assert_eq!(added.len(), 1);
    assert_eq!(added[0].actor, ESTATE.administrator.subject());
    assert_eq!(added[0].detail["asked_by"], json!(ESTATE.operator.subject()));
    assert_eq!((world.count("orders"), world.count("order_serials")), (1, 2));
    // The same again changes nothing.
    take_order(&server, &good());
    assert_eq!(world.events("order.added", "PO-1").len(), 1);
    take_order(&server, &close("PO-1"));
    let closed = world.events("order.closed", "PO-1");
    assert_eq!((closed.len(), closed[0].actor.clone()), (1, ESTATE.administrator.subject()));
    assert_refused(&post_order(&server, &by_both(&close("PO-1"))), 409, "order-not-open");
    assert_refused(&post_order(&server, &by_both(&good())), 409, "order-exists");
    world.assert_audit_good();
}

/// R12: one person alone, the same person twice, the same card twice.
#[test]
fn r12_one_person_enters_no_order() {
    let (world, server) = serve();
    for document in [good(), close("PO-1")] {
        for one in [&ESTATE.operator, &ESTATE.administrator] {
            assert_refused(&post_order(&server, &signed(one, &document)), 403, "bad-signature");
        }
        // Two certificates on one card's key.
        let same_key = ESTATE.card(Role::Administrator, "Someone Else", valid());
        assert_eq!(post_order(&server, &signed_by_both(&ESTATE.operator, &same_key, &document)).status, 403);
        let same_name = ESTATE.card_of_other_key(Role::Administrator, "Olga Operator");
        let twice = signed_by_both(&ESTATE.operator, &same_name, &document);
        assert_refused(&post_order(&server, &twice), 403, "same-person");
        let mtms = ESTATE.card_of_other_key(Role::Mtms, "Vendor MTMS");
        assert_eq!(post_order(&server, &signed_by_both(&ESTATE.operator, &mtms, &document)).status, 403);
    }
    no_orders(&world);
}

#[test]
fn r12_a_revoked_person_enters_no_order() {
    let (world, server) = serve();
    let leaving = ESTATE.card_of_other_key(Role::Administrator, "Leaving Soon");
    world.write("crl.pem", &ESTATE.crl(2, &[&leaving.certificate]));
    let answer = post_order(&server, &signed_by_both(&ESTATE.operator, &leaving, &good()));
    assert_refused(&answer, 403, "card-revoked");
    no_orders(&world);
}

#[test]
fn an_order_of_somebody_else_is_refused() {
    let (world, server) = serve();
    let mut other_buyer = good();
    other_buyer["buyer"] = json!("ACQ-2");
    let mut exchanged = good();
    exchanged["buyer"] = json!(VENDOR);
    exchanged["vendor"] = json!("ACQ-1");
    for (document, why) in
        [(other_buyer, "buyer"), (exchanged, "buyer"), (order("PO-1", "STRANGER", None), "[[partners]]")]
    {
        let answer = post_order(&server, &by_both(&document));
        assert_refused(&answer, 409, "not-ours");
        assert!(answer.json["error"]["text"].as_str().unwrap().contains(why), "{answer:?}");
        assert_eq!(world.events("order.refused", "PO-1").last().unwrap().detail["code"], json!("not-ours"));
    }
    no_orders(&world);
}

#[test]
fn another_order_of_a_name_or_with_a_serial_of_an_open_one_is_refused() {
    let (world, server) = serve();
    take_order(&server, &good());
    let answer = post_order(&server, &by_both(&order("PO-1", VENDOR, Some(&["SN-1"]))));
    assert_refused(&answer, 409, "order-exists");
    let next = order("PO-2", VENDOR, Some(&["SN-3", "SN-2"]));
    let answer = post_order(&server, &by_both(&next));
    assert_refused(&answer, 409, "serial-taken");
    let text = answer.json["error"]["text"].as_str().unwrap();
    assert!(text.contains("SN-2") && text.contains("PO-1"), "{text}");
    assert_eq!(world.count("orders"), 1);
    take_order(&server, &close("PO-1"));
    take_order(&server, &next);
}

#[test]
fn what_is_no_order_is_bad_content() {
    let (world, server) = serve();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut document = good();
        change(&mut document);
        document
    };
    for document in [
        changed(&|o| o["version"] = json!(2)),
        changed(&|o| o["kind"] = json!("other")),
        changed(&|o| o["order"] = json!("x".repeat(33))),
        changed(&|o| o["model"] = json!("")),
        changed(&|o| o["serials"] = json!([])),
        changed(&|o| o["serials"] = json!(["SN-1", "SN 2"])),
        changed(&|o| o["serials"] = json!(["SN-1", "SN-2", "SN-1"])),
        changed(&|o| o["more"] = json!(1)),
        json!(["order"]),
        json!({}),
    ] {
        assert_refused(&post_order(&server, &by_both(&document)), 422, "bad-content");
    }
    no_orders(&world);
    world.assert_audit_good();
}
