//! Transport keys that replace others by batch: they wait for a second person, as collected ones do.

use pki::Role;
use serde_json::{Value, json};

use super::{is, kms, told};
use crate::support::{
    estate::ESTATE,
    https,
    kms_ec::{self, Ec},
    line::connect,
    package::{approval, signed},
    partner::{OTHER, OTHER_01, VENDOR, VENDOR_01, VENDOR_02, order, post_batch, take_order},
    raw::{Raw, encrypt},
    world::Server,
};

fn replacing(mut entry: Value) -> Value {
    entry["replaces"] = json!(true);
    entry
}

/// The one replacement that waits: its number and fingerprint.
fn waiting(server: &Server) -> (i64, String) {
    let answer = https::get(server.https, "/v1/replacements");
    let waiting = answer.json.as_array().unwrap();
    assert_eq!(waiting.len(), 1, "{answer:?}");
    assert_eq!(waiting[0]["station"], json!("batch of VENDOR for PO-1"));
    (waiting[0]["id"].as_i64().unwrap(), waiting[0]["fingerprint"].as_str().unwrap().to_owned())
}

fn approve(server: &Server, sn: &str) {
    let (id, fingerprint) = waiting(server);
    let answer =
        server.approve(&signed(&ESTATE.administrator, &approval("replace-tk", id, sn, &fingerprint)));
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Whether the server answers with this terminal's AUK.
fn knows(server: &Server, terminal: &Raw) -> bool {
    let asked = terminal.ask(&mut connect(server.terminals), 3).unwrap();
    asked.crnd1 == encrypt(&terminal.auk, asked.rnd1)
}

#[test]
fn a_replacement_by_batch_waits_for_a_second_person_in_suite_01() {
    let (world, server) = kms(&[&VENDOR_01]);
    take_order(&server, &order("PO-1", VENDOR, Some(&["SN-1"])));
    let first = Raw::new("SN-1");
    server.collect(&[&first]);
    first.download(server.terminals, 0).unwrap();
    let repaired = first.impostor();
    let answer = post_batch(&server, &VENDOR_01.batch("PO-1", &[replacing(VENDOR_01.entry(&repaired))]));
    assert_eq!(told(&answer), [is("SN-1", true, "awaits-approval")]);
    assert_eq!(VENDOR_01.receipt(&answer)["results"][0]["code"], json!("awaits-approval"));
    assert!(!knows(&server, &repaired), "not before it is approved");
    first.download(server.terminals, 1).unwrap();
    approve(&server, "SN-1");
    repaired.download(server.terminals, 2).unwrap();
    assert!(!knows(&server, &first));
    world.assert_audit_good();
}

#[test]
fn a_replacement_by_batch_waits_for_a_second_person_in_suite_02() {
    let (world, server) = kms(&[&VENDOR_02]);
    take_order(&server, &order("PO-1", VENDOR, None));
    let first = Ec::new("SN-1");
    let answer = post_batch(&server, &VENDOR_02.batch("PO-1", &[VENDOR_02.entry_ec(&first)]));
    assert_eq!(told(&answer), [is("SN-1", true, "stored")]);
    first.download(server.terminals, 0).unwrap();
    let repaired = first.next();
    let answer = post_batch(&server, &VENDOR_02.batch("PO-1", &[replacing(VENDOR_02.entry_ec(&repaired))]));
    assert_eq!(told(&answer), [is("SN-1", true, "awaits-approval")]);
    approve(&server, "SN-1");
    repaired.download(server.terminals, 1).unwrap();
    world.assert_audit_good();
}

/// Who signed the batch approves nothing of it, under whatever role.
#[test]
fn the_batchs_signer_may_not_approve() {
    let (_world, server) = kms(&[&VENDOR_01]);
    take_order(&server, &order("PO-1", VENDOR, Some(&["SN-1"])));
    let first = Raw::new("SN-1");
    server.collect(&[&first]);
    let answer =
        post_batch(&server, &VENDOR_01.batch("PO-1", &[replacing(VENDOR_01.entry(&first.impostor()))]));
    assert_eq!(told(&answer), [is("SN-1", true, "awaits-approval")]);
    let (id, fingerprint) = waiting(&server);
    let same_name = ESTATE.card_of_other_key(Role::Administrator, "Vendor MTMS");
    let answer = server.approve(&signed(&same_name, &approval("replace-tk", id, "SN-1", &fingerprint)));
    assert_eq!((answer.status, answer.code()), (403, "same-person"), "{answer:?}");
    first.download(server.terminals, 0).unwrap();
}

#[test]
fn a_batch_takes_no_terminal_back_to_suite_01() {
    let (_world, server) = kms(&[&VENDOR_01, &VENDOR_02]);
    take_order(&server, &order("PO-1", VENDOR, Some(&["SN-1"])));
    let terminal = Ec::new("SN-1");
    kms_ec::collect_all(&server, &[&terminal]);
    let old = Raw::new("SN-1");
    let answer = post_batch(&server, &VENDOR_01.batch("PO-1", &[replacing(VENDOR_01.entry(&old))]));
    assert_eq!(told(&answer), [is("SN-1", false, "lower-suite")]);
    terminal.download(server.terminals, 0).unwrap();
}

/// A TK that a vendor's batch brought is that vendor's to replace, and so is what it asked to replace.
#[test]
fn another_vendor_replaces_no_key() {
    let (world, server) = kms(&[&VENDOR_01, &OTHER_01]);
    take_order(&server, &order("PO-1", VENDOR, None));
    take_order(&server, &order("PO-2", OTHER, None));
    let first = Raw::new("SN-1");
    let answer = post_batch(&server, &VENDOR_01.batch("PO-1", &[VENDOR_01.entry(&first)]));
    assert_eq!(told(&answer), [is("SN-1", true, "stored")]);
    let theirs = || {
        let entry = replacing(OTHER_01.entry(&first.impostor()));
        post_batch(&server, &OTHER_01.batch("PO-2", &[entry]))
    };
    assert_eq!(told(&theirs()), [is("SN-1", false, "other-vendor")]);
    let own = replacing(VENDOR_01.entry(&first.impostor()));
    let answer = post_batch(&server, &VENDOR_01.batch("PO-1", &[own]));
    assert_eq!(told(&answer), [is("SN-1", true, "awaits-approval")]);
    let before = waiting(&server);
    assert_eq!(told(&theirs()), [is("SN-1", false, "other-vendor")]);
    assert_eq!(waiting(&server), before);
    first.download(server.terminals, 0).unwrap();
    world.assert_audit_good();
}

#[test]
fn a_key_that_no_batch_brought_is_replaced_for_an_order_that_lists_it() {
    let (world, server) = kms(&[&VENDOR_01]);
    take_order(&server, &order("PO-1", VENDOR, None));
    let first = Raw::new("SN-1");
    server.collect(&[&first]);
    let entry = || replacing(VENDOR_01.entry(&first.impostor()));
    let answer = post_batch(&server, &VENDOR_01.batch("PO-1", &[entry()]));
    assert_eq!(told(&answer), [is("SN-1", false, "not-in-order")]);
    assert_eq!(world.count("replacements"), 0);
    take_order(&server, &order("PO-2", VENDOR, Some(&["SN-1"])));
    let answer = post_batch(&server, &VENDOR_01.batch("PO-2", &[entry()]));
    assert_eq!(told(&answer), [is("SN-1", true, "awaits-approval")]);
}

/// Who approves sees who asks: a station, or which vendor for which order.
#[test]
fn a_waiting_replacement_tells_the_order_and_the_vendor_that_ask() {
    let (_world, server) = kms(&[&VENDOR_01]);
    take_order(&server, &order("PO-1", VENDOR, Some(&["SN-1"])));
    let first = Raw::new("SN-1");
    server.collect(&[&first]);
    let answer =
        post_batch(&server, &VENDOR_01.batch("PO-1", &[replacing(VENDOR_01.entry(&first.impostor()))]));
    assert_eq!(told(&answer), [is("SN-1", true, "awaits-approval")]);
    let answer = https::get(server.https, "/v1/replacements");
    assert_eq!(answer.json[0]["batch"], json!({ "order": "PO-1", "vendor": "VENDOR" }), "{answer:?}");
}
