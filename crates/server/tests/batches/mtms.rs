//! A vendor's MTMS: it collects what open orders list, and gives nobody a key.

use base64ct::{Base64, Encoding};
use hsm_soft::Duty;
use serde_json::{Value, json};
use store::OrderStore as _;

use super::{World, assert_refused, is, told};
use crate::support::{
    estate::{ACQUIRER, ESTATE, now},
    https::{self, CMS},
    kms_ec::{self, Ec, by_both, rfc3339},
    line::{End, connect},
    package::{entry, package, signed},
    partner::{BANK, BANK_01, MODEL, close, post_batch, post_order, sections, take_order},
    raw::{Raw, rnd1},
    switch::serve_on,
    tlv::{self, field, frame},
    world::{Options, Server},
};

fn options(world: &World) -> Options {
    let more = format!("{}[mtms]\n", sections(world, &[&BANK_01]));
    Options { rks: None, more, ..Options::default() }
}

fn serve() -> (World, Server) {
    let world = World::new();
    let server = start(&world, &options(&world));
    (world, server)
}

/// An MTMS's HSM has a duty of its own.
fn start(world: &World, options: &Options) -> Server {
    let socket = world.folder().join("hsm");
    serve_on(Duty::Mtms, &socket);
    world.start_with_hsm(options, &socket)
}

/// An order of this vendor's, bought by the bank.
fn order(name: &str, serials: &[&str]) -> Value {
    json!({ "version": 1, "kind": "order", "order": name, "vendor": ACQUIRER, "buyer": BANK, "model": MODEL,
            "serials": serials })
}

fn upload(server: &Server, entries: &[Value]) -> https::Answer {
    server.upload(&signed(&ESTATE.operator, &package(entries)))
}

#[test]
fn a_terminal_is_collected_for_the_open_order_that_lists_it() {
    let (world, server) = serve();
    take_order(&server, &order("PO-1", &["SN-1", "SN-2"]));
    let mut other_model = entry(&Raw::new("SN-2"));
    other_model["model"] = json!("SIM-2");
    let entries = [entry(&Raw::new("SN-9")), other_model, entry(&Raw::new("SN-1"))];
    let answer = upload(&server, &entries);
    assert_eq!(
        told(&answer),
        [is("SN-9", false, "not-in-order"), is("SN-2", false, "wrong-model"), is("SN-1", true, "stored")]
    );
    assert_eq!(world.count("terminals"), 1);
    take_order(&server, &close("PO-1"));
    let answer = upload(&server, &[entry(&Raw::new("SN-2"))]);
    assert_eq!(told(&answer), [is("SN-2", false, "not-in-order")]);
    // The audit says which.
    let refused = world.events("collection.terminal", "SN-9");
    assert_eq!(refused[0].detail["result"]["code"], json!("not-in-order"));
    world.assert_audit_good();
}

/// The same in suite 02, where packages carry both cards' signatures and device keys.
#[test]
fn a_terminal_of_suite_02_is_held_to_the_orders_too() {
    let world = World::new();
    let server = start(&world, &Options { suite_02: true, ..options(&world) });
    kms_ec::install(&server);
    take_order(&server, &order("PO-1", &["SN-1", "SN-2"]));
    let terminals = [Ec::new("SN-1"), Ec::with_pin_pad("SN-2", "PP-2"), Ec::new("SN-9")];
    let nonce = kms_ec::ceremony(&server, kms_ec::STATION);
    let entries: Vec<_> = terminals.iter().map(|terminal| terminal.entry(&nonce)).collect();
    let answer = server.upload(&by_both(&kms_ec::package(&nonce, &entries)));
    assert_eq!(
        told(&answer),
        [is("SN-1", true, "stored"), is("SN-2", true, "stored"), is("SN-9", false, "not-in-order")]
    );
    let waiting = server.block_on(server.store.undelivered("PO-1", None, 9)).unwrap();
    let told: Vec<_> = waiting.iter().map(|u| (u.terminal.sn.as_str(), u.device_generation)).collect();
    assert_eq!(told, [("SN-1", Some(1)), ("SN-2", Some(1))]);
    assert!(waiting.iter().all(|u| u.work_certificate_sha256.is_some()));
}

#[test]
fn an_mtms_takes_its_own_orders_with_their_lists() {
    let (world, server) = serve();
    let mut unlisted = order("PO-1", &[]);
    unlisted.as_object_mut().unwrap().remove("serials");
    assert_refused(&post_order(&server, &by_both(&unlisted)), 422, "bad-content");
    let mut others = order("PO-1", &["SN-1"]);
    others["vendor"] = json!(BANK);
    others["buyer"] = json!(ACQUIRER);
    assert_refused(&post_order(&server, &by_both(&others)), 409, "not-ours");
    let mut stranger = order("PO-1", &["SN-1"]);
    stranger["buyer"] = json!("STRANGER");
    assert_refused(&post_order(&server, &by_both(&stranger)), 409, "not-ours");
    assert_eq!(world.count("orders"), 0);
    take_order(&server, &order("PO-1", &["SN-1"]));
}

#[test]
fn an_mtms_takes_no_batches() {
    let (world, server) = serve();
    take_order(&server, &order("PO-1", &["SN-1"]));
    let batch = BANK_01.batch("PO-1", &[BANK_01.entry(&Raw::new("SN-1"))]);
    assert_refused(&post_batch(&server, &batch), 422, "wrong-order");
    assert_eq!(world.count("terminals"), 0);
}

/// Everything but COLLECT_ASK is a message that this server does not expect.
#[test]
fn the_terminal_port_of_an_mtms_gives_no_keys() {
    let (world, server) = serve();
    take_order(&server, &order("PO-1", &["SN-1"]));
    let terminal = Raw::new("SN-1");
    assert_eq!(told(&upload(&server, &[entry(&terminal)])), [is("SN-1", true, "stored")]);
    // TK_HELLO, RKS_AUTH, TMS_HELLO, SIGN_IN, and what opens no flow at all.
    let hello = terminal.hello_fields(0, rnd1());
    for first in [
        frame(tlv::HELLO, &hello),
        frame(0x11, &hello),
        frame(0x31, &[]),
        frame(0x41, &hello),
        frame(0x56, &[]),
    ] {
        let mut line = connect(server.terminals);
        line.send(&first);
        let end = line.expect(tlv::CHALLENGE).unwrap_err();
        assert_eq!(end, End::Code(3), "{first:02x?}");
    }
    assert_eq!(world.count("tmks"), 0);
    // A terminal that asks to be collected hears that no window is open.
    let mut line = connect(server.terminals);
    let ask = [field(tlv::SUITE, &[1]), field(tlv::SN, b"SN-1")].concat();
    line.send(&frame(0x53, &ask));
    assert_eq!(line.expect(tlv::COLLECT).unwrap_err(), End::Code(6));
}

/// A terminal that asks inside a window is collected if an order lists it.
#[test]
fn a_terminal_that_asks_is_held_to_the_orders_too() {
    let (world, server) = serve();
    take_order(&server, &order("PO-1", &["SN-1"]));
    for (sn, taken) in [("SN-1", true), ("SN-2", false)] {
        let terminal = Raw::new(sn);
        open_window(&server, sn);
        let mut line = connect(server.terminals);
        line.send(&frame(0x53, &[field(tlv::SUITE, &[1]), field(tlv::SN, sn.as_bytes())].concat()));
        let _collect = line.expect(tlv::COLLECT).unwrap();
        let ciphertext = terminal.ciphertext(ESTATE.work.certificate.spki_der());
        let fields = [
            field(tlv::SN, sn.as_bytes()),
            field(0xDF30, b"KF"),
            field(0xDF31, MODEL.as_bytes()),
            field(tlv::CTK_PU, &ciphertext),
        ]
        .concat();
        line.send(&frame(tlv::COLLECTED, &fields));
        match line.expect(tlv::DONE) {
            Ok(_) => assert!(taken, "{sn}"),
            Err(end) => assert_eq!((taken, end), (false, End::Code(8)), "{sn}"),
        }
    }
    assert_eq!(world.count("terminals"), 1);
    assert_eq!(world.events("collection.refused", "SN-2")[0].detail["code"], json!("not-in-order"));
    world.assert_audit_good();
}

/// An operator asks, an administrator opens (2-wire.md section 3, type 53).
fn open_window(server: &Server, sn: &str) {
    let until = rfc3339(now() + 600);
    let request = json!({ "version": 1, "act": "ask-collection-windows", "serials": [sn], "expires_at": until,
                          "asked_at": "2026-11-20T12:00:00Z" });
    let asked = Base64::encode_string(&signed(&ESTATE.operator, &request));
    let opening = json!({ "version": 1, "act": "open-collection-windows", "serials": [sn], "expires_at": until,
                          "asked_by": ESTATE.operator.subject(), "request": asked,
                          "approved_at": "2026-11-20T12:05:00Z" });
    let cms = signed(&ESTATE.administrator, &opening);
    let answer = https::post(server.https, "/v1/collection-windows", CMS, &cms);
    assert_eq!(answer.status, 200, "{answer:?}");
}
