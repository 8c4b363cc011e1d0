//! Batches that are refused as a whole: by name, with nothing stored.

use pki::{Role, issue};
use serde_json::{Value, json};

use super::{World, assert_nothing_stored, assert_refused, is, kms, options, told};
use crate::support::{
    ec::EcKey,
    estate::{DAY, ESTATE, name, now, root_valid, valid},
    kms_ec::{Ec, by_both},
    package::{signed, signed_bytes},
    partner::{
        MTMS_CARD, OTHER, OTHER_01, VENDOR, VENDOR_01, VENDOR_02, close, order, post_batch, post_order,
        take_order,
    },
    raw::Raw,
    world::{Options, Server},
};

fn serve() -> (World, Server) {
    let (world, server) = kms(&[&VENDOR_01, &VENDOR_02, &OTHER_01]);
    take_order(&server, &order("PO-1", VENDOR, Some(&["SN-1", "SN-2"])));
    (world, server)
}

fn good() -> Value {
    VENDOR_01.maced(VENDOR_01.bare("PO-1", &[VENDOR_01.entry(&Raw::new("SN-1"))]))
}

fn send(server: &Server, batch: &Value) -> crate::support::https::Answer {
    post_batch(server, &signed(&MTMS_CARD, batch))
}

/// One refusal of a whole batch: named to the sender and to the audit.
fn assert_audited(world: &World, code: &str) {
    let refused: Vec<_> = world.audit().into_iter().filter(|event| event.kind == "batch.refused").collect();
    let last = refused.last().unwrap_or_else(|| panic!("{code} is in the audit"));
    assert_eq!(last.detail["code"], json!(code));
    assert_eq!(last.actor, MTMS_CARD.subject());
}

#[test]
fn one_byte_changed_after_signing_is_a_bad_signature() {
    let (world, server) = serve();
    let cms = signed(&MTMS_CARD, &good());
    let content = cms.windows(6).position(|window| window == b"\"tek\":").unwrap() + 12;
    let last = cms.len() - 1;
    for at in [0, 4, 30, content, last / 2, last - 300, last - 255, last] {
        let mut changed = cms.clone();
        changed[at] ^= 1;
        let answer = post_batch(&server, &changed);
        assert_eq!(answer.status, 403, "byte {at}: {answer:?}");
    }
    let mut changed = cms.clone();
    changed[content] ^= 1;
    assert_refused(&post_batch(&server, &changed), 403, "bad-signature");
    for cut in [0, 1, cms.len() / 2, last] {
        assert_refused(&post_batch(&server, &cms[..cut]), 403, "bad-signature");
    }
    assert_nothing_stored(&world);
    assert_eq!(post_batch(&server, &cms).status, 200, "as it was signed it is good");
}

#[test]
fn one_byte_changed_before_signing_is_a_wrong_mac() {
    let (world, server) = serve();
    let changes: [&dyn Fn(&mut Value); 8] = [
        &|b| b["collected_at"] = json!("2026-11-20T12:00:01Z"),
        &|b| b["terminals"][0]["sn"] = json!("SN-2"),
        &|b| b["terminals"][0]["pin_pad_sn"] = json!("PP-1"),
        &|b| b["terminals"][0]["replaces"] = json!(true),
        &|b| b["terminals"][0]["fingerprint"] = json!("0123456789ABCDEF0123"),
        &|b| b["terminals"][0]["work_certificate_sha256"] = json!("5b".repeat(32)),
        &|b| {
            let block = b["terminals"][0]["tek"].as_str().unwrap().replacen("N0", "N1", 1);
            b["terminals"][0]["tek"] = json!(block);
        },
        &|b| b["more"] = json!("covered too"),
    ];
    for change in changes {
        let mut batch = good();
        change(&mut batch);
        assert_refused(&send(&server, &batch), 403, "wrong-mac");
        assert_audited(&world, "wrong-mac");
        assert_nothing_stored(&world);
    }
}

#[test]
fn a_wrong_mac_is_refused_before_any_entry_is_opened() {
    let (world, server) = serve();
    server.stop();
    let (server, switch) = world.start_switched(&options(&world, &[&VENDOR_01, &VENDOR_02, &OTHER_01]));
    let mut batch = good();
    let right = batch["mac"].clone();
    for mac in ["0000000000000000", "FFFFFFFFFFFFFFFF"] {
        batch["mac"] = json!(mac);
        switch.asked();
        assert_refused(&send(&server, &batch), 403, "wrong-mac");
        // Of the vendor of the order, and whether it is the other one's.
        assert_eq!(switch.asked(), ["CheckBatchMac", "CheckBatchMac"]);
    }
    assert_nothing_stored(&world);
    batch["mac"] = right;
    assert_eq!(send(&server, &batch).status, 200);
    assert_eq!(switch.asked(), ["CheckBatchMac", "ImportTk", "MacBatch"]);
}

#[test]
fn a_mac_in_another_form_is_no_mac() {
    let (world, server) = serve();
    let good = good();
    let mac = good["mac"].as_str().unwrap();
    for wrong in [mac.to_lowercase(), mac[..14].to_owned(), format!("{mac}00"), String::new(), "G".repeat(16)]
    {
        let mut batch = good.clone();
        batch["mac"] = json!(wrong);
        let answer = send(&server, &batch);
        // All digits may happen to be figures: then it is the same text.
        if wrong != mac {
            assert_refused(&answer, 422, "bad-content");
        }
    }
    let mut batch = good.clone();
    batch["mac"] = json!("0".repeat(32));
    batch["suite"] = json!(2);
    assert_refused(&send(&server, &batch), 403, "wrong-mac");
    assert_nothing_stored(&world);
}

#[test]
fn a_mac_of_suite_01_is_none_in_suite_02() {
    let (world, server) = serve();
    let bare = VENDOR_02.bare("PO-1", &[VENDOR_02.entry_ec(&Ec::new("SN-1"))]);
    let mut mixed = VENDOR_01.maced(bare);
    assert_refused(&send(&server, &mixed), 422, "bad-content");
    mixed.as_object_mut().unwrap().remove("suite");
    let mixed = VENDOR_01.maced(mixed);
    // As suite 01 its MAC is good, and what it brings is not of that suite.
    let answer = send(&server, &mixed);
    assert_eq!(told(&answer), [is("SN-1", false, "malformed")]);
    assert_eq!(world.count("terminals"), 0);
}

#[test]
fn a_vendor_without_keys_of_a_suite_has_no_mac_there() {
    let (world, server) = kms(&[&VENDOR_01]);
    take_order(&server, &order("PO-1", VENDOR, None));
    let batch = VENDOR_02.maced(VENDOR_02.bare("PO-1", &[VENDOR_02.entry_ec(&Ec::new("SN-1"))]));
    assert_refused(&send(&server, &batch), 403, "wrong-mac");
    assert_nothing_stored(&world);
}

#[test]
fn an_order_that_is_unknown_closed_or_another_vendors_is_wrong() {
    let (world, server) = serve();
    take_order(&server, &order("PO-2", OTHER, None));
    take_order(&server, &order("PO-3", VENDOR, None));
    take_order(&server, &close("PO-3"));
    for (name, why) in [("PO-9", "no order"), ("PO-3", "closed"), ("PO-2", OTHER)] {
        let batch = VENDOR_01.maced(VENDOR_01.bare(name, &[VENDOR_01.entry(&Raw::new("SN-1"))]));
        let answer = send(&server, &batch);
        assert_refused(&answer, 422, "wrong-order");
        assert!(answer.json["error"]["text"].as_str().unwrap().contains(why), "{answer:?}");
        assert_audited(&world, "wrong-order");
    }
    // Neither does another vendor's batch pass for an order of this one's.
    let batch = OTHER_01.maced(OTHER_01.bare("PO-1", &[OTHER_01.entry(&Raw::new("SN-1"))]));
    assert_refused(&send(&server, &batch), 422, "wrong-order");
    assert_nothing_stored(&world);
}

#[test]
fn an_order_that_another_acquirer_bought_is_wrong() {
    let (world, server) = serve();
    let mut of_other = order("PO-7", VENDOR, None);
    of_other["buyer"] = json!("ACQ-2");
    assert_refused(&post_order(&server, &by_both(&of_other)), 409, "not-ours");
    // Even if it came to stand in the database.
    world
        .sql()
        .execute_batch(
            "INSERT INTO orders VALUES (70, 'PO-7', 'VENDOR', 'ACQ-2', 'SIM-1', NULL, zeroblob(32), x'30', 'A', '1',
                'B', '2', 1, NULL)",
        )
        .unwrap();
    let batch = VENDOR_01.maced(VENDOR_01.bare("PO-7", &[VENDOR_01.entry(&Raw::new("SN-1"))]));
    assert_refused(&send(&server, &batch), 422, "wrong-order");
    assert_nothing_stored(&world);
}

#[test]
fn a_serial_twice_spoils_the_batch() {
    let (world, server) = serve();
    let (one, other) = (Raw::new("SN-1"), Raw::new("SN-1"));
    for entries in
        [[VENDOR_01.entry(&one), VENDOR_01.entry(&one)], [VENDOR_01.entry(&one), VENDOR_01.entry(&other)]]
    {
        let batch = VENDOR_01.maced(VENDOR_01.bare("PO-1", &entries));
        let answer = send(&server, &batch);
        assert_refused(&answer, 422, "serial-twice");
        assert!(answer.json["error"]["text"].as_str().unwrap().contains("SN-1"));
        assert_audited(&world, "serial-twice");
    }
    assert_nothing_stored(&world);
}

#[test]
fn what_is_no_batch_is_bad_content() {
    let (world, server) = serve();
    let entry = || VENDOR_01.entry(&Raw::new("SN-1"));
    let bare = |change: &dyn Fn(&mut Value)| {
        let mut batch = VENDOR_01.bare("PO-1", &[entry()]);
        change(&mut batch);
        VENDOR_01.maced(batch)
    };
    for batch in [
        bare(&|b| b["version"] = json!(2)),
        bare(&|b| b["suite"] = json!(3)),
        bare(&|b| b["order"] = json!("PO 1")),
        bare(&|b| b["collected_at"] = json!("yesterday")),
        bare(&|b| b["terminals"] = json!([])),
        bare(&|b| b["terminals"] = json!({})),
        bare(&|b| b["terminals"] = json!([["SN-1"]])),
        bare(&|b| b["terminals"][0]["sn"] = json!(1)),
        bare(&|b| {
            b["terminals"][0].as_object_mut().unwrap().remove("tek");
        }),
    ] {
        assert_refused(&send(&server, &batch), 422, "bad-content");
        assert_audited(&world, "bad-content");
    }
    for text in ["", "{", "[]", "null", "{\"version\":1}"] {
        assert_refused(&post_batch(&server, &signed_bytes(&MTMS_CARD, text.as_bytes())), 422, "bad-content");
    }
    // A name twice: the MAC would not say which of the two it is over.
    let twice = good().to_string().replacen("\"order\":\"PO-1\"", "\"order\":\"PO-1\",\"order\":\"PO-1\"", 1);
    assert_refused(&post_batch(&server, &signed_bytes(&MTMS_CARD, twice.as_bytes())), 422, "bad-content");
    let many = vec![json!({ "sn": "S", "tek": "", "auk": "", "work_certificate_sha256": "" }); 20_001];
    // Above the largest upload of this server there is another refusal; this is below it.
    let batch = VENDOR_01.maced(VENDOR_01.bare("PO-1", &many));
    let answer = send(&server, &batch);
    assert!([413, 422].contains(&answer.status), "{answer:?}");
    assert_nothing_stored(&world);
}

#[test]
fn only_an_mtms_card_signs_a_batch() {
    let (world, server) = serve();
    for role in Role::SUITE_01.into_iter().filter(|role| *role != Role::Mtms) {
        let card = ESTATE.card(role, "Some Body", valid());
        assert_refused(&post_batch(&server, &signed(&card, &good())), 403, "card-refused");
    }
    assert_refused(&post_batch(&server, &signed(&ESTATE.foreign_operator(), &good())), 403, "card-refused");
    assert_refused(&post_batch(&server, &by_both(&good())), 403, "bad-signature");
    assert_nothing_stored(&world);
}

/// A vendor with a root of its own, under which an MTMS has a certificate for signatures and one for key agreement.
struct Vendor {
    key: EcKey,
    signing: pki::Certificate,
    agreeing: pki::Certificate,
}

impl Vendor {
    /// Writes its root and list into the world.
    fn new(world: &World) -> Vendor {
        let root_key = EcKey::new();
        let root = issue::root(&name("Root of a vendor"), &root_key, root_valid(), 1).unwrap();
        let issuer = issue::Issuer::new(&root, &root_key).unwrap();
        let key = EcKey::new();
        let spki = pki::Signer::spki_der(&key);
        let signing = issue::leaf(&issuer, Role::Mtms, &name("MTMS"), spki, valid()).unwrap();
        let agreeing = issue::agreement_leaf(&issuer, Role::Mtms, &name("MTMS"), spki, valid()).unwrap();
        world.write("vendor.pem", &root.pem());
        let crl = issue::build_crl(&issuer, 1, now() - 60, now() + DAY, &[]).unwrap();
        world.write("vendor.crl", &crl.pem());
        Vendor { key, signing, agreeing }
    }

    /// A KMS that believes it.
    fn believed(options: Options) -> Options {
        Options {
            root: r#", { certificate = "vendor.pem", roles = ["mtms"] }"#,
            crl: r#", "vendor.crl""#,
            ..options
        }
    }

    fn sign(&self, certificate: &pki::Certificate, batch: &Value) -> Vec<u8> {
        pki::cms::sign(batch.to_string().as_bytes(), &self.key, certificate, &[], now()).unwrap()
    }
}

#[test]
fn an_mtms_certificate_for_key_agreement_signs_no_batch() {
    let (world, server) = serve();
    drop(server);
    let vendor = Vendor::new(&world);
    let options = Vendor::believed(options(&world, &[&VENDOR_01, &VENDOR_02, &OTHER_01]));
    let server = world.start(&options);
    assert_refused(&post_batch(&server, &vendor.sign(&vendor.agreeing, &good())), 403, "card-refused");
    assert_nothing_stored(&world);
    assert_eq!(post_batch(&server, &vendor.sign(&vendor.signing, &good())).status, 200);
}

/// A vendor's batch in another vendor's hands: its MAC is good, and the card is not that vendor's.
#[test]
fn a_vendor_whose_root_is_known_signs_with_its_own_cards_only() {
    let (world, server) = serve();
    drop(server);
    let vendor = Vendor::new(&world);
    let mut options = Vendor::believed(options(&world, &[&VENDOR_01, &OTHER_01]));
    options.more = options.more.replace("name = \"VENDOR\"\n", "name = \"VENDOR\"\nroot = \"vendor.pem\"\n");
    let server = world.start(&options);
    assert_refused(&send(&server, &good()), 403, "card-refused");
    assert_audited(&world, "card-refused");
    assert_nothing_stored(&world);
    assert_eq!(post_batch(&server, &vendor.sign(&vendor.signing, &good())).status, 200);
    // Of a vendor whose root is not known any card of the role is good.
    take_order(&server, &order("PO-2", OTHER, None));
    let batch = OTHER_01.maced(OTHER_01.bare("PO-2", &[OTHER_01.entry(&Raw::new("SN-5"))]));
    assert_eq!(send(&server, &batch).status, 200);
}

/// A card that is not the vendor's learns nothing of the vendor's MACs, neither by a refusal nor by a receipt.
#[test]
fn no_mac_of_a_vendor_is_tried_for_a_card_of_another_root() {
    let (world, server) = serve();
    take_order(&server, &order("PO-2", OTHER, None));
    server.stop();
    let vendor = Vendor::new(&world);
    let mut options = Vendor::believed(options(&world, &[&VENDOR_01, &OTHER_01]));
    options.more = options.more.replace("name = \"VENDOR\"\n", "name = \"VENDOR\"\nroot = \"vendor.pem\"\n");
    let (server, switch) = world.start_switched(&options);
    let good = good();
    let mut wrong = good.clone();
    wrong["mac"] = json!("0000000000000000");
    switch.asked();
    for batch in [&good, &wrong] {
        assert_refused(&send(&server, batch), 403, "card-refused");
        assert_eq!(switch.asked(), [""; 0]);
    }
    // For another vendor's order only that vendor's key is tried: a good MAC and a bad one look the same.
    for right in [true, false] {
        let mut batch = VENDOR_01.maced(VENDOR_01.bare("PO-2", &[VENDOR_01.entry(&Raw::new("SN-1"))]));
        if !right {
            batch["mac"] = json!("0000000000000000");
        }
        assert_refused(&send(&server, &batch), 403, "wrong-mac");
        assert_eq!(switch.asked(), ["CheckBatchMac"]);
    }
    assert_nothing_stored(&world);
    // Once it is taken, its receipt is the vendor's too.
    assert_eq!(post_batch(&server, &vendor.sign(&vendor.signing, &good)).status, 200);
    switch.asked();
    let answer = send(&server, &good);
    assert_refused(&answer, 403, "card-refused");
    assert!(answer.json.get("receipt").is_none(), "{answer:?}");
    assert_eq!(switch.asked(), [""; 0]);
    let answer = post_batch(&server, &vendor.sign(&vendor.signing, &good));
    assert_refused(&answer, 409, "received-before");
    VENDOR_01.receipt(&answer);
}

#[test]
fn a_revoked_card_is_refused_from_the_moment_that_the_list_names_it() {
    let (world, server) = serve();
    let card = ESTATE.card(Role::Mtms, "Leaving Soon", valid());
    world.write("crl.pem", &ESTATE.crl(2, &[&card.certificate]));
    assert_refused(&post_batch(&server, &signed(&card, &good())), 403, "card-revoked");
    assert_nothing_stored(&world);
    assert_eq!(send(&server, &good()).status, 200, "the vendor's other card is good");
}
