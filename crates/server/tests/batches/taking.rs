//! Batches that are taken: what they bring, and what becomes of each terminal.

use serde_json::json;

use super::{is, kms, line, told};
use crate::support::{
    kms_ec::Ec,
    package::signed,
    partner::{
        MTMS_CARD, OTHER, OTHER_01, OTHER_02, VENDOR, VENDOR_01, VENDOR_02, content_digest, order,
        post_batch, take_order,
    },
    raw::Raw,
    world::results,
};

#[test]
fn a_batch_of_suite_01_brings_terminals_that_download() {
    let (world, server) = kms(&[&VENDOR_01]);
    take_order(&server, &order("PO-1", VENDOR, Some(&["SN-1", "SN-2"])));
    let terminals = [Raw::with_pin_pad("SN-2", "PP-2"), Raw::new("SN-1")];
    let mut entries: Vec<_> = terminals.iter().map(|terminal| VENDOR_01.entry(terminal)).collect();
    entries[0]["fingerprint"] = json!("0123456789ABCDEF0123");
    let batch = VENDOR_01.maced(VENDOR_01.bare("PO-1", &entries));
    let answer = post_batch(&server, &signed(&MTMS_CARD, &batch));
    assert_eq!(told(&answer), [is("SN-2", true, "stored"), is("SN-1", true, "stored")]);
    // What the vendor says that people saw is what the KMS shows.
    assert_eq!(results(&answer)[0]["fingerprint"], json!("0123456789ABCDEF0123"));
    assert_eq!(results(&answer)[1]["fingerprint"].as_str().unwrap().len(), 20);

    let receipt = VENDOR_01.receipt(&answer);
    assert_eq!(receipt["order"], json!("PO-1"));
    assert_eq!(receipt["batch"], json!(content_digest(&batch)));
    let lines: Vec<_> = receipt["results"].as_array().unwrap().iter().map(line).collect();
    assert_eq!(lines, told(&answer));
    assert_eq!(receipt["results"][0].as_object().unwrap().len(), 3, "no texts in a receipt");

    for terminal in &terminals {
        terminal.download(server.terminals, 0).unwrap();
    }
    let received = world.events("batch.received", &content_digest(&batch));
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].actor, MTMS_CARD.subject());
    assert_eq!(received[0].detail["order"], json!("PO-1"));
    assert_eq!(received[0].detail["partner"], json!(VENDOR));
    for terminal in &terminals {
        let events = world.events("batch.terminal", &terminal.sn);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].detail["result"]["code"], json!("stored"));
    }
    world.assert_audit_good();
}

#[test]
fn a_batch_of_suite_02_brings_terminals_that_download() {
    let (world, server) = kms(&[&VENDOR_02]);
    take_order(&server, &order("PO-1", VENDOR, Some(&["SN-1", "SN-2"])));
    let terminals = [Ec::new("SN-1"), Ec::with_pin_pad("SN-2", "PP-2")];
    let entries: Vec<_> = terminals.iter().map(|terminal| VENDOR_02.entry_ec(terminal)).collect();
    let answer = post_batch(&server, &VENDOR_02.batch("PO-1", &entries));
    assert_eq!(told(&answer), [is("SN-1", true, "stored"), is("SN-2", true, "stored")]);
    assert_eq!(VENDOR_02.receipt(&answer)["mac"].as_str().unwrap().len(), 32);
    for terminal in &terminals {
        terminal.download(server.terminals, 0).unwrap();
    }
    assert_eq!(world.count("device_certificates"), 2);
    world.assert_audit_good();
}

#[test]
fn an_order_without_a_list_takes_any_serial_of_its_vendor() {
    let (_world, server) = kms(&[&VENDOR_01, &OTHER_01]);
    take_order(&server, &order("PO-1", VENDOR, None));
    take_order(&server, &order("PO-2", OTHER, None));
    let answer = post_batch(&server, &VENDOR_01.batch("PO-1", &[VENDOR_01.entry(&Raw::new("ANY-1"))]));
    assert_eq!(told(&answer), [is("ANY-1", true, "stored")]);
    let answer = post_batch(&server, &OTHER_01.batch("PO-2", &[OTHER_01.entry(&Raw::new("ANY-2"))]));
    assert_eq!(told(&answer), [is("ANY-2", true, "stored")]);
}

/// What two people ordered by name comes for that order only, be it as terminal or as PIN pad.
#[test]
fn an_order_without_a_list_takes_no_serial_of_another_open_order() {
    let (world, server) = kms(&[&VENDOR_01, &OTHER_01]);
    take_order(&server, &order("PO-1", VENDOR, Some(&["SN-1", "SN-2"])));
    take_order(&server, &order("PO-2", OTHER, None));
    take_order(&server, &order("PO-3", VENDOR, None));
    take_order(&server, &order("PO-4", OTHER, Some(&["SN-4"])));
    let terminals = [Raw::new("SN-1"), Raw::with_pin_pad("SN-9", "SN-2"), Raw::with_pin_pad("SN-4", "SN-1")];
    for (vendor, name) in [(&OTHER_01, "PO-2"), (&VENDOR_01, "PO-3"), (&OTHER_01, "PO-4")] {
        let entries: Vec<_> = terminals.iter().map(|terminal| vendor.entry(terminal)).collect();
        let answer = post_batch(&server, &vendor.batch(name, &entries));
        let refused = ["SN-1", "SN-9", "SN-4"].map(|sn| is(sn, false, "not-in-order"));
        assert_eq!(told(&answer), refused, "{name}");
        let text = |n: usize| results(&answer)[n]["text"].as_str().unwrap().to_owned();
        // Which order, and whose, is none of this vendor's business.
        assert!((0..3).all(|n| !text(n).contains("PO-")), "{answer:?}");
        assert!(name == "PO-4" || text(1).contains("SN-2, this terminal's PIN pad's"), "{answer:?}");
        assert!(name != "PO-4" || text(2).contains("SN-1, this terminal's PIN pad's"), "{answer:?}");
    }
    assert_eq!(world.count("terminals"), 0);
    let answer = post_batch(&server, &VENDOR_01.batch("PO-1", &[VENDOR_01.entry(&terminals[0])]));
    assert_eq!(told(&answer), [is("SN-1", true, "stored")]);
}

#[test]
fn one_vendor_has_keys_of_both_suites() {
    let (_world, server) = kms(&[&VENDOR_01, &VENDOR_02]);
    take_order(&server, &order("PO-1", VENDOR, None));
    let (old, new) = (Raw::new("SN-1"), Ec::new("SN-2"));
    let answer = post_batch(&server, &VENDOR_01.batch("PO-1", &[VENDOR_01.entry(&old)]));
    assert_eq!(told(&answer), [is("SN-1", true, "stored")]);
    let answer = post_batch(&server, &VENDOR_02.batch("PO-1", &[VENDOR_02.entry_ec(&new)]));
    assert_eq!(told(&answer), [is("SN-2", true, "stored")]);
    old.download(server.terminals, 0).unwrap();
    new.download(server.terminals, 0).unwrap();
}

#[test]
fn one_bad_terminal_does_not_spoil_the_others() {
    let (world, server) = kms(&[&VENDOR_01]);
    take_order(&server, &order("PO-2", VENDOR, Some(&["SN-1", "SN-2", "SN-3", "SN-4", "SN-5"])));
    let good = Raw::new("SN-5");
    let mut other_model = VENDOR_01.entry(&Raw::new("SN-2"));
    other_model["model"] = json!("SIM-2");
    let mut untold = VENDOR_01.entry(&Raw::new("SN-3"));
    untold.as_object_mut().unwrap().retain(|name, _| name != "vendor" && name != "model");
    let mut nonsense = VENDOR_01.entry(&Raw::new("SN-4"));
    nonsense["sn"] = json!("no serial");
    let entries = [VENDOR_01.entry(&Raw::new("SN-9")), other_model, untold, nonsense, VENDOR_01.entry(&good)];
    let answer = post_batch(&server, &VENDOR_01.batch("PO-2", &entries));
    assert_eq!(
        told(&answer),
        [
            is("SN-9", false, "not-in-order"),
            is("SN-2", false, "wrong-model"),
            is("SN-3", true, "stored"),
            is("no serial", false, "malformed"),
            is("SN-5", true, "stored"),
        ]
    );
    good.download(server.terminals, 0).unwrap();
    assert_eq!(world.count("terminals"), 2);
    assert_eq!(VENDOR_01.receipt(&answer)["results"][0]["code"], json!("not-in-order"));
}

/// Every way in which a key block is not exactly this terminal's, under exactly this partner's PK.
#[test]
fn a_key_that_is_not_its_terminals_or_its_vendors_is_refused() {
    let (world, server) = kms(&[&VENDOR_01, &OTHER_01]);
    take_order(&server, &order("PO-1", VENDOR, None));
    let terminal = Raw::new("SN-1");
    let entry = |tek: String, auk: String| {
        let mut entry = VENDOR_01.entry(&terminal);
        entry["tek"] = json!(tek);
        entry["auk"] = json!(auk);
        entry
    };
    let (tek, auk) = (VENDOR_01.tek("SN-1", &terminal.tek), VENDOR_01.auk("SN-1", &terminal.auk));
    let cases = [
        ("opened for another PIN pad", entry(VENDOR_01.tek("SN-2", &terminal.tek), auk.clone())),
        ("AUK of another PIN pad", entry(tek.clone(), VENDOR_01.auk("SN-2", &terminal.auk))),
        ("under another partner's PK", OTHER_01.entry(&terminal)),
        ("under PK of suite 02", VENDOR_02.entry(&terminal_of_suite_02("SN-1"))),
        (
            "TEK and AUK exchanged",
            entry(VENDOR_01.auk("SN-1", &terminal.tek), VENDOR_01.tek("SN-1", &terminal.auk)),
        ),
        ("TEK twice", entry(tek.clone(), tek.clone())),
        ("TEK equal to AUK", entry(tek.clone(), VENDOR_01.auk("SN-1", &terminal.tek))),
        ("a weak TEK", entry(VENDOR_01.tek("SN-1", &[1; 24]), auk.clone())),
        ("a TEK of two parts", entry(VENDOR_01.tek("SN-1", &terminal.tek[..16]), auk.clone())),
        ("changed", entry(flipped(&tek), auk.clone())),
        ("no block", entry("no block".into(), auk.clone())),
    ];
    for (n, (what, mut entry)) in cases.into_iter().enumerate() {
        if what == "under PK of suite 02" {
            entry.as_object_mut().unwrap().retain(|name, _| name != "generation" && name != "device");
        }
        // Each batch is another one.
        entry["vendor"] = json!(format!("V{n}"));
        let answer = post_batch(&server, &VENDOR_01.batch("PO-1", &[entry]));
        assert_eq!(told(&answer), [is("SN-1", false, "key-refused")], "{what}: {answer:?}");
        let text = answer.json["results"][0]["text"].as_str().unwrap();
        assert!(text.len() > 20 && !text.contains(&tek[16..]), "{what}: {text}");
    }
    assert_eq!(world.count("terminals"), 0);
    let answer = post_batch(&server, &VENDOR_01.batch("PO-1", &[entry(tek, auk)]));
    assert_eq!(told(&answer), [is("SN-1", true, "stored")]);
}

/// What a terminal of suite 02 looks like to an entry of either suite: 32-byte keys.
fn terminal_of_suite_02(sn: &str) -> Raw {
    let ec = Ec::new(sn);
    Raw { sn: sn.into(), pin_pad: None, tek: ec.tek.to_vec(), auk: ec.auk.to_vec() }
}

/// A block with one digit of its MAC changed.
fn flipped(block: &str) -> String {
    let (body, last) = block.split_at(block.len() - 1);
    format!("{body}{}", if last == "0" { "1" } else { "0" })
}

#[test]
fn keys_of_suite_02_are_held_to_their_device() {
    let (world, server) = kms(&[&VENDOR_02, &OTHER_02]);
    take_order(&server, &order("PO-1", VENDOR, None));
    let (terminal, other) = (Ec::new("SN-1"), Ec::new("SN-2"));
    let good = VENDOR_02.entry_ec(&terminal);
    let mut cases = Vec::new();
    let mut with = |what: &'static str, code: &'static str, change: &dyn Fn(&mut serde_json::Value)| {
        let mut entry = good.clone();
        change(&mut entry);
        cases.push((what, code, entry));
    };
    with("another PIN pad's block", "key-refused", &|entry| {
        entry["tek"] = json!(VENDOR_02.tek("SN-2", &terminal.tek));
    });
    with("another partner's PK", "key-refused", &|entry| {
        entry["auk"] = json!(OTHER_02.auk("SN-1", &terminal.auk));
    });
    with("TEK equal to AUK", "key-refused", &|entry| {
        entry["auk"] = json!(VENDOR_02.auk("SN-1", &terminal.tek));
    });
    with("another PIN pad's device certificate", "000D", &|entry| {
        entry["device"] = VENDOR_02.entry_ec(&other)["device"].clone();
    });
    with("a device certificate that is none", "000D", &|entry| entry["device"] = json!("MAA="));
    with("no device certificate", "malformed", &|entry| {
        entry.as_object_mut().unwrap().remove("device");
    });
    with("no base64", "malformed", &|entry| entry["device"] = json!("*"));
    with("no generation", "malformed", &|entry| {
        entry.as_object_mut().unwrap().remove("generation");
    });
    with("a generation past 2^32", "malformed", &|entry| entry["generation"] = json!("4294967297"));
    with("a generation in another writing", "malformed", &|entry| entry["generation"] = json!("01"));
    with("a fingerprint that is none", "malformed", &|entry| entry["fingerprint"] = json!("abc"));
    for (what, code, entry) in cases {
        let answer = post_batch(&server, &VENDOR_02.batch("PO-1", &[entry]));
        assert_eq!(told(&answer), [is("SN-1", false, code)], "{what}: {answer:?}");
    }
    assert_eq!((world.count("terminals"), world.count("device_certificates")), (0, 0));
    let answer = post_batch(&server, &VENDOR_02.batch("PO-1", &[good]));
    assert_eq!(told(&answer), [is("SN-1", true, "stored")]);
    // Another key of the same generation: its generation was used up.
    let mut entry = VENDOR_02.entry_ec(&terminal);
    entry["tek"] = json!(VENDOR_02.tek("SN-1", &crate::support::ec::random::<32>()));
    let answer = post_batch(&server, &VENDOR_02.batch("PO-1", &[entry.clone()]));
    assert_eq!(told(&answer), [is("SN-1", false, "already-known")]);
    entry["replaces"] = json!(true);
    let answer = post_batch(&server, &VENDOR_02.batch("PO-1", &[entry]));
    assert_eq!(told(&answer), [is("SN-1", false, "generation-not-higher")]);
    // The same key, wrapped anew; and as another terminal's.
    let twin = Ec { tek: terminal.tek, auk: terminal.auk, ..other };
    let entries = [VENDOR_02.entry_ec(&terminal), VENDOR_02.entry_ec(&twin)];
    let answer = post_batch(&server, &VENDOR_02.batch("PO-1", &entries));
    assert_eq!(told(&answer), [is("SN-1", true, "already-stored"), is("SN-2", false, "same-transport-key")]);
}

/// One TK is one terminal's, and a vendor's word of it, its fingerprint, does not make another one the same.
#[test]
fn one_key_is_one_terminals() {
    let (world, server) = kms(&[&VENDOR_01]);
    take_order(&server, &order("PO-1", VENDOR, None));
    let first = Raw::new("SN-1");
    let twin = Raw { sn: "SN-2".into(), pin_pad: None, tek: first.tek.clone(), auk: first.auk.clone() };
    let entry = VENDOR_01.entry(&first);
    let answer = post_batch(&server, &VENDOR_01.batch("PO-1", &[entry.clone(), VENDOR_01.entry(&twin)]));
    assert_eq!(told(&answer), [is("SN-1", true, "stored"), is("SN-2", false, "same-transport-key")]);
    let mut other = VENDOR_01.entry(&first.impostor());
    other["fingerprint"] = entry["fingerprint"].clone();
    let answer = post_batch(&server, &VENDOR_01.batch("PO-1", &[other, VENDOR_01.entry(&twin)]));
    assert_eq!(told(&answer), [is("SN-1", false, "already-known"), is("SN-2", false, "same-transport-key")]);
    let answer = post_batch(&server, &VENDOR_01.batch("PO-1", &[VENDOR_01.entry(&first)]));
    assert_eq!(told(&answer), [is("SN-1", true, "already-stored")], "wrapped anew");
    assert_eq!(world.count("terminals"), 1);
}

#[test]
fn known_serials_keep_their_keys() {
    let (world, server) = kms(&[&VENDOR_01]);
    take_order(&server, &order("PO-1", VENDOR, None));
    let first = Raw::new("SN-1");
    server.collect(&[&first]);
    let entries = [VENDOR_01.entry(&first.impostor()), VENDOR_01.entry(&Raw::with_pin_pad("SN-2", "SN-1"))];
    let answer = post_batch(&server, &VENDOR_01.batch("PO-1", &entries));
    assert_eq!(told(&answer), [is("SN-1", false, "already-known"), is("SN-2", false, "pin-pad-taken")]);
    first.download(server.terminals, 0).unwrap();
    assert_eq!((world.count("terminals"), world.count("replacements")), (1, 0));
}
