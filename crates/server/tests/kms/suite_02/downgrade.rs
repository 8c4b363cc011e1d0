//! `downgrade`: a terminal moves up by itself when it has proved that it can, and down only by an act of two people with
//! a reason and an end.

use serde_json::{Value, json};
use store::{KeyName, SuiteStore as _};
use wire::{Serial, Slot, Suite};

use super::serve;
use crate::support::{
    estate::{DAY, ESTATE, now},
    https::Answer,
    kms_ec::{self, Ec, allow, allowance, by_both, ceremony, signed_by_both},
    line::{End, connect},
    package::{approval, entry, package, replacing, signed},
    raw::Raw,
    world::{Server, World, results},
};

/// The suites of a key on record: proved, in use.
fn of(server: &Server, sn: &str, key: KeyName) -> Option<(Suite, Suite)> {
    let records = server.block_on(server.store.suite_records(&Serial::parse(sn).unwrap())).unwrap();
    records.keys.iter().find(|record| record.key == key).map(|record| (record.proved, record.in_use))
}

fn slot(index: u8) -> KeyName {
    KeyName::Slot(Slot::new(index).unwrap())
}

/// Approves what waits for `sn`.
fn approve(world: &World, server: &Server, sn: &str) -> Answer {
    let sql = "SELECT id, fingerprint FROM replacements WHERE sn = ?1 AND state = 'waiting'";
    let (id, fingerprint): (i64, String) =
        world.sql().query_row(sql, [sn], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    server.approve(&signed(&ESTATE.administrator, &approval("replace-tk", id, sn, &fingerprint)))
}

fn code(answer: &Answer) -> Value {
    results(answer).remove(0)["code"].clone()
}

/// Collects it in suite 01 in place of what is known.
fn collect_in_01(server: &Server, terminal: &Raw) -> Value {
    code(&server.upload(&signed(&ESTATE.operator, &package(&[replacing(entry(terminal))]))))
}

#[test]
fn a_terminal_moves_up_key_by_key() {
    let (world, server) = serve(&[]);
    let old = Raw::new("SN-1");
    server.collect(&[&old]);
    old.download(server.terminals, 0).unwrap();
    old.download(server.terminals, 1).unwrap();
    assert_eq!(of(&server, "SN-1", KeyName::Tk), Some((Suite::TDES, Suite::TDES)));
    // Until it is collected in suite 02 and approved, it is none of suite 02.
    let new = Ec::new("SN-1");
    assert!(!new.ask(&mut connect(server.terminals), 0).unwrap().proven);
    let nonce = ceremony(&server, kms_ec::STATION);
    let answer = server.upload(&by_both(&kms_ec::package(&nonce, &[replacing(new.entry(&nonce))])));
    assert_eq!(code(&answer), json!("awaits-approval"));
    assert_eq!(approve(&world, &server, "SN-1").status, 200);
    assert_eq!(of(&server, "SN-1", KeyName::Tk), Some((Suite::EC_AES, Suite::EC_AES)));
    assert_eq!(of(&server, "SN-1", slot(0)), Some((Suite::TDES, Suite::TDES)), "sent nothing yet");
    new.fetch(&mut connect(server.terminals), 0).unwrap();
    assert_eq!(of(&server, "SN-1", slot(0)), Some((Suite::TDES, Suite::TDES)), "confirmed nothing yet");
    new.download(server.terminals, 0).unwrap();
    assert_eq!(of(&server, "SN-1", slot(0)), Some((Suite::EC_AES, Suite::EC_AES)));
    assert_eq!(of(&server, "SN-1", slot(1)), Some((Suite::TDES, Suite::TDES)));
    // Its old TK proves nothing any more.
    assert_eq!(old.intrude(server.terminals, 0), End::Code(0x0006));
    world.assert_audit_good();
}

#[test]
fn suite_01_for_a_terminal_of_suite_02_is_a_strangers() {
    let terminal = Ec::new("SN-1");
    let (world, server) = serve(&[&terminal]);
    terminal.download(server.terminals, 0).unwrap();
    assert_eq!(Raw::new("SN-1").intrude(server.terminals, 0), End::Code(0x0006));
    assert_eq!(collect_in_01(&server, &Raw::new("SN-1")), json!("lower-suite"));
    assert_eq!(world.count("replacements"), 0);
    server.stop();
    let refused = world.events("terminal.refused", "SN-1");
    assert_eq!(refused[0].detail["reason"], json!("another suite than its transport key's"));
}

#[test]
fn an_allowance_lets_it_down_and_its_end_refuses_it_by_name() {
    let new = Ec::new("SN-1");
    let (world, server) = serve(&[&new]);
    new.download(server.terminals, 0).unwrap();
    let answer = allow(&server, &by_both(&allowance("SN-1", now() + DAY)));
    assert_eq!(answer.status, 200, "{answer:?}");
    let old = Raw::new("SN-1");
    assert_eq!(collect_in_01(&server, &old), json!("awaits-approval"));
    assert_eq!(approve(&world, &server, "SN-1").status, 200);
    old.download(server.terminals, 0).unwrap();
    assert_eq!(of(&server, "SN-1", slot(0)), Some((Suite::EC_AES, Suite::TDES)));

    let listed = server.block_on(server.store.estate_suites(Suite::EC_AES, None, 10)).unwrap();
    assert_eq!(listed.len(), 1, "who is on suite 01, and until when");
    let running = listed[0].allowance.as_ref().unwrap();
    assert_eq!((&*running.reason, running.suite), ("firmware 2.1 fails", Suite::TDES));
    assert_eq!(running.asked_by.subject, ESTATE.operator.subject());
    assert_eq!(running.approved_by.subject, ESTATE.administrator.subject());
    assert!((running.until / 1000 - now() - DAY).abs() < 10);
    assert_eq!(world.events("suite.allowed", "SN-1").len(), 1);

    let answer = allow(&server, &by_both(&allowance("SN-1", now() - 5)));
    assert_eq!(answer.status, 200, "{answer:?}");
    // It proves itself, is told 0009, and nothing was made for it.
    let made = world.count("tmks");
    for index in [0, 7] {
        assert_eq!(old.download(server.terminals, index), Err(End::Code(0x0009)), "slot {index}");
    }
    assert_eq!(world.count("tmks"), made);
    assert_eq!(world.events("suite.refused", "SN-1").len(), 2);
    // A stranger with its serial is told 0006, as ever.
    assert_eq!(old.impostor().intrude(server.terminals, 0), End::Code(0x0006));
    assert_eq!(world.events("suite.allowance-ended", "SN-1").len(), 1);
    world.assert_audit_good();
}

#[test]
fn an_approval_after_the_end_is_refused() {
    let (world, server) = serve(&[&Ec::new("SN-1")]);
    assert_eq!(allow(&server, &by_both(&allowance("SN-1", now() + DAY))).status, 200);
    assert_eq!(collect_in_01(&server, &Raw::new("SN-1")), json!("awaits-approval"));
    assert_eq!(allow(&server, &by_both(&allowance("SN-1", now() - 5))).status, 200);
    let answer = approve(&world, &server, "SN-1");
    assert_eq!((answer.status, answer.code()), (409, "lower-suite"));
}

#[test]
fn leave_is_two_peoples_with_a_reason_and_an_end() {
    let (world, server) = serve(&[&Ec::new("SN-1")]);
    let good = allowance("SN-1", now() + DAY);
    let refused = |cms: &[u8], status: u16, code: &str| {
        let answer = allow(&server, cms);
        assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
    };
    refused(&signed(&ESTATE.operator, &good), 403, "bad-signature");
    refused(&signed(&ESTATE.administrator, &good), 403, "bad-signature");
    let second = ESTATE.card_of_other_key(pki::Role::Administrator, "Olga Operator");
    refused(&signed_by_both(&ESTATE.operator, &second, &good), 403, "same-person");
    let second = ESTATE.card_of_other_key(pki::Role::Operator, "Otto Operator");
    refused(&signed_by_both(&ESTATE.operator, &second, &good), 403, "card-refused");
    for (key, value) in [
        ("version", json!(2)),
        ("suite", json!(2)),
        ("suite", json!(0)),
        ("reason", json!(" ")),
        ("reason", json!("x".repeat(513))),
        ("until", json!("soon")),
        ("until", json!(kms_ec::rfc3339(now() + 91 * DAY))),
        ("sn", json!("no serial")),
        ("more", json!(1)),
    ] {
        let mut content = good.clone();
        content[key] = value;
        refused(&by_both(&content), 422, "bad-content");
    }
    refused(&by_both(&allowance("SN-9", now() + DAY)), 409, "unknown-terminal");
    refused(&by_both(&allowance("SN-1", now() - DAY)), 409, "nothing-to-end");
    assert_eq!(world.count("suite_allowances"), 0);
    let told = world.audit().into_iter().filter(|event| event.kind == "suite-allowance.refused").count();
    assert_eq!(told, 11, "what two people signed and is refused");
    assert_eq!(allow(&server, &by_both(&good)).status, 200);
    refused(&by_both(&good), 409, "received-before");
    world.assert_audit_good();
}
