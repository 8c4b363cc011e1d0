//! Collected packages over HTTPS: who may send what (2-wire.md section 6). What is refused leaves nothing.

use std::time::Duration;

use pki::{Role, issue::Validity};
use serde_json::json;

use crate::support::{
    estate::{DAY, ESTATE, Person, now, valid},
    https::{self, Answer, CMS},
    line::End,
    package::{COLLECTED_AT, entry, fingerprint, package, replacing, signed, signed_bytes},
    raw::Raw,
    world::{Options, Server, World, results},
};

/// A package with one terminal.
fn good() -> (Raw, Vec<u8>) {
    let terminal = Raw::new("SN-1");
    let cms = signed(&ESTATE.operator, &package(&[entry(&terminal)]));
    (terminal, cms)
}

fn serve() -> (World, Server) {
    let world = World::new();
    let server = world.start(&Options::default());
    (world, server)
}

fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
    assert!(answer.json["error"]["text"].as_str().is_some_and(|text| !text.is_empty()));
}

fn assert_nothing_stored(world: &World) {
    for table in ["terminals", "collections", "replacements", "tmks"] {
        assert_eq!(world.count(table), 0, "{table}");
    }
    assert!(world.audit().iter().all(|event| event.kind != "collection.received"));
    world.assert_audit_good();
}

#[test]
fn a_good_package_is_stored_and_answered_in_order_with_fingerprints() {
    let (world, server) = serve();
    let terminals = [Raw::new("SN-1"), Raw::with_pin_pad("SN-2", "PP-2"), Raw::new("SN-0")];
    let entries: Vec<_> = terminals.iter().map(entry).collect();
    let answer = server.upload(&signed(&ESTATE.operator, &package(&entries)));
    for (result, entry) in results(&answer).iter().zip(&entries) {
        assert_eq!(result["sn"], entry["sn"]);
        assert_eq!(result["ok"], json!(true));
        assert_eq!(result["code"], json!("stored"));
        assert_eq!(result["fingerprint"], json!(fingerprint(entry)));
    }
    assert_eq!(results(&answer).len(), 3);
    let received: Vec<_> =
        world.audit().into_iter().filter(|event| event.kind == "collection.received").collect();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].actor, ESTATE.operator.subject());
    for (terminal, entry) in terminals.iter().zip(&entries) {
        let events = world.events("collection.terminal", &terminal.sn);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].actor, ESTATE.operator.subject());
        assert_eq!(events[0].detail["fingerprint"], json!(fingerprint(entry)), "{:?}", events[0]);
        terminal.download(server.terminals, 0).unwrap();
    }
    world.assert_audit_good();
}

#[test]
fn a_package_changed_by_one_byte_is_refused_whole() {
    let (world, server) = serve();
    let (_, cms) = good();
    let content = cms.windows(9).position(|window| window == b"\"ctk_pu\":").unwrap() + 12;
    let last = cms.len() - 1;
    // The frame of it, the content, certificates, attributes, the signature's first and last byte.
    for at in [0, 4, 30, content, last / 2, last * 3 / 4, last - 300, last - 255, last] {
        let mut changed = cms.clone();
        changed[at] ^= 1;
        let answer = server.upload(&changed);
        assert_eq!(answer.status, 403, "byte {at}: {answer:?}");
    }
    for cut in [0, 1, cms.len() / 2, last] {
        assert_eq!(server.upload(&cms[..cut]).status, 403, "cut to {cut}");
    }
    assert_eq!(server.upload(&[&cms[..], &[0]].concat()).status, 403, "a byte more");
    assert_nothing_stored(&world);
    assert_eq!(server.upload(&cms).status, 200, "as it was signed it is good");
}

#[test]
fn only_an_operator_card_signs_a_collection() {
    let (world, server) = serve();
    let (terminal, _) = good();
    let content = package(&[entry(&terminal)]);
    assert_refused(&server.upload(&signed(&ESTATE.administrator, &content)), 403, "card-refused");
    for role in Role::SUITE_01.into_iter().filter(|role| *role != Role::Operator) {
        let card = ESTATE.card(role, "Some Body", valid());
        assert_refused(&server.upload(&signed(&card, &content)), 403, "card-refused");
    }
    assert_nothing_stored(&world);
}

#[test]
fn an_expired_or_future_card_is_refused() {
    let (world, server) = serve();
    let (terminal, _) = good();
    let times = [(now() - 10 * DAY, now() - 60), (now() + DAY, now() + 2 * DAY)];
    for (not_before, not_after) in times {
        let card = ESTATE.card(Role::Operator, "Olga Operator", Validity { not_before, not_after });
        let answer = server.upload(&signed(&card, &package(&[entry(&terminal)])));
        assert_refused(&answer, 403, "card-refused");
    }
    assert_nothing_stored(&world);
}

#[test]
fn a_card_is_refused_from_the_moment_that_the_list_names_it() {
    let (world, server) = serve();
    let card = ESTATE.card(Role::Operator, "Leaving Soon", valid());
    let send = |sn: &str| server.upload(&signed(&card, &package(&[entry(&Raw::new(sn))])));
    assert_eq!(send("SN-1").status, 200);
    replace_crl(&world, &ESTATE.crl(2, &[&card.certificate]));
    assert_refused(&send("SN-2"), 403, "card-revoked");
    // An older list put back takes nothing back.
    replace_crl(&world, &ESTATE.crl(1, &[]));
    assert_refused(&send("SN-3"), 403, "card-revoked");
    // A file that is no list leaves the last good one in force.
    replace_crl(&world, "no list at all");
    assert_refused(&send("SN-4"), 403, "card-revoked");
    assert_eq!(world.count("terminals"), 1);
    server.collect(&[&Raw::new("SN-5")]);
}

#[test]
fn a_list_that_is_overdue_refuses_every_card() {
    let (world, server) = serve();
    let (_, cms) = good();
    replace_crl(&world, &ESTATE.crl_until(2, &[], now() - 30));
    assert_refused(&server.upload(&cms), 403, "card-refused");
    replace_crl(&world, &ESTATE.crl(3, &[]));
    assert_eq!(server.upload(&cms).status, 200);
}

/// Replaces the file; the server looks at its time of change.
fn replace_crl(world: &World, content: &str) {
    std::thread::sleep(Duration::from_millis(20));
    world.write("crl.pem", content);
}

#[test]
fn a_foreign_roots_card_is_refused() {
    let (world, server) = serve();
    let (terminal, _) = good();
    let answer = server.upload(&signed(&ESTATE.foreign_operator(), &package(&[entry(&terminal)])));
    assert_refused(&answer, 403, "card-refused");
    assert_nothing_stored(&world);
}

#[test]
fn what_is_no_cms_is_refused() {
    let (world, server) = serve();
    let text = package(&[entry(&Raw::new("SN-1"))]).to_string();
    for body in [&b""[..], b"\x30\x00", b"\x30\x80\x00\x00", &[0xFF; 4096], text.as_bytes()] {
        assert_refused(&server.upload(body), 403, "bad-signature");
    }
    assert_nothing_stored(&world);
}

#[test]
fn another_media_type_is_refused() {
    let (world, server) = serve();
    let (_, cms) = good();
    for media in ["application/json", "application/octet-stream", "application/cms2", "text/plain", ""] {
        let answer = https::post(server.https, "/v1/collections", media, &cms);
        assert_refused(&answer, 415, "wrong-media-type");
    }
    assert_nothing_stored(&world);
    let answer = https::post(server.https, "/v1/collections", "Application/CMS; charset=binary", &cms);
    assert_eq!(answer.status, 200);
}

#[test]
fn a_body_past_the_limit_is_refused() {
    let (world, server) = serve();
    let answer = https::post(server.https, "/v1/collections", CMS, &vec![0x30; (1 << 20) + 1]);
    assert_refused(&answer, 413, "too-large");
    assert_nothing_stored(&world);
}

#[test]
fn other_methods_and_paths_are_none() {
    let (world, server) = serve();
    assert_eq!(https::get(server.https, "/v1/collections").status, 405);
    assert_eq!(https::get(server.https, "/v1/terminals").status, 404);
    assert_eq!(https::get(server.https, "/../keyferry.toml").status, 404);
    assert_eq!(https::get(server.https, "/v1/health").json, json!({ "ok": true }));
    assert_eq!(https::get(server.https, "/v1/work-certificate").body, ESTATE.work.certificate.pem());
    let list = std::fs::read_to_string(world.folder().join("crl.pem")).unwrap();
    assert_eq!(https::get(server.https, "/v1/crl").body, list);
}

#[test]
fn signed_content_that_is_not_a_package_is_refused() {
    let (world, server) = serve();
    let operator = &ESTATE.operator;
    let fine = package(&[entry(&Raw::new("SN-1"))]);
    let with = |name: &str, value: serde_json::Value| {
        let mut content = fine.clone();
        content[name] = value;
        content.to_string().into_bytes()
    };
    let contents = [
        b"".to_vec(),
        b"not JSON".to_vec(),
        b"{\"version\":1}".to_vec(),
        b"\xFF\xFE".to_vec(),
        [fine.to_string().as_bytes(), b"{}"].concat(),
        "[".repeat(100_000).into_bytes(),
        with("version", json!(2)),
        with("version", json!("1")),
        with("version", json!(-1)),
        with("station", json!("")),
        with("station", json!("x".repeat(129))),
        with("collected_at", json!("yesterday")),
        with("collected_at", json!("2026-13-01T00:00:00Z")),
        with("terminals", json!({})),
        with("terminals", json!([{ "sn": "SN-1" }])),
    ];
    for content in contents {
        let answer = server.upload(&signed_bytes(operator, &content));
        assert_refused(&answer, 422, "bad-content");
    }
    assert_nothing_stored(&world);
    assert_all_audited(&world, "collection.refused", operator, 15);
}

/// A card holder's refused uploads are in the audit, each with who sent it.
fn assert_all_audited(world: &World, kind: &str, person: &Person, count: usize) {
    let events: Vec<_> = world.audit().into_iter().filter(|event| event.kind == kind).collect();
    assert_eq!(events.len(), count);
    assert!(events.iter().all(|event| event.actor == person.subject()), "{events:?}");
}

#[test]
fn the_same_bytes_again_are_a_conflict() {
    let (world, server) = serve();
    let (_, cms) = good();
    assert_eq!(server.upload(&cms).status, 200);
    for _ in 0..2 {
        assert_refused(&server.upload(&cms), 409, "received-before");
    }
    assert_eq!(world.count("collections"), 1);
    assert_all_audited(&world, "collection.refused", &ESTATE.operator, 2);
    world.assert_audit_good();
}

#[test]
fn the_same_bytes_several_times_at_once_are_stored_once() {
    let (world, server) = serve();
    let (_, cms) = good();
    let (address, cms) = (server.https, &cms);
    let send = || https::post(address, "/v1/collections", CMS, cms).status;
    let mut codes: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..6).map(|_| scope.spawn(send)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    codes.sort_unstable();
    assert_eq!(codes, [200, 409, 409, 409, 409, 409]);
    assert_eq!((world.count("collections"), world.count("terminals")), (1, 1));
}

#[test]
fn the_servers_tls_key_may_live_in_the_hsm() {
    let world = World::new();
    let (certificate, block) = ESTATE.tls_in_hsm();
    world.write("tls.pem", &certificate.pem());
    world.write("tls.key", &block);
    let server = world.start(&Options::default());
    let (terminal, cms) = good();
    assert_eq!(server.upload(&cms).status, 200);
    terminal.download(server.terminals, 0).unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut stream = https::tls(server.https, &[version]);
        stream.conn.complete_io(&mut stream.sock).unwrap();
        assert!(!stream.conn.is_handshaking());
    }
}

#[test]
fn r21_yesterdays_upload_signed_anew_replaces_nothing() {
    let (_world, server) = serve();
    let old = Raw::new("SN-1");
    let old_entry = entry(&old);
    assert_eq!(
        server.upload(&signed(&ESTATE.operator, &package(std::slice::from_ref(&old_entry)))).status,
        200
    );
    // The same TK again does no harm; another needs `replaces`.
    let again = json!({ "version": 1, "station": "station 8", "collected_at": COLLECTED_AT,
                        "terminals": [old_entry] });
    let answer = server.upload(&signed(&ESTATE.operator, &again));
    assert_eq!(results(&answer)[0]["code"], json!("already-stored"));
    let new = Raw::new("SN-1");
    let answer = server.upload(&signed(&ESTATE.operator, &package(&[entry(&new)])));
    let result = &results(&answer)[0];
    assert_eq!((&result["ok"], &result["code"]), (&json!(false), &json!("already-known")));
    old.download(server.terminals, 0).unwrap();
    assert_eq!(new.intrude(server.terminals, 0), End::Code(0x0006));
    let answer = server.upload(&signed(&ESTATE.operator, &package(&[replacing(entry(&new))])));
    assert_eq!(results(&answer)[0]["code"], json!("awaits-approval"));
    old.download(server.terminals, 0).unwrap();
}

#[test]
fn refused_cards_and_signatures_are_counted_in_the_audit() {
    let (world, server) = serve();
    let (terminal, cms) = good();
    let content = package(&[entry(&terminal)]);
    for _ in 0..3 {
        server.upload(&signed(&ESTATE.administrator, &content));
    }
    let mut changed = cms;
    let last = changed.len() - 1;
    changed[last] ^= 1;
    for _ in 0..2 {
        server.upload(&changed);
        server.approve(&changed);
    }
    server.stop();
    let mut refused: Vec<_> = world
        .audit()
        .into_iter()
        .filter(|event| event.kind == "upload.refused")
        .map(|event| (event.subject, event.actor, event.detail["count"].as_u64().unwrap()))
        .collect();
    refused.sort();
    let here = || "127.0.0.1".to_owned();
    let line = |what: &str, count| (what.to_owned(), here(), count);
    assert_eq!(refused, [line("approval", 2), line("collection", 2), line("collection", 3)]);
    world.assert_audit_good();
}
