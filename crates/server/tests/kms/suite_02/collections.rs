//! Packages of suite 02: a ceremony, both cards, device keys. What is refused is refused by name.

use base64ct::{Base64, Encoding};
use pki::{
    Role, Signer as _,
    cms::{self, Signatory},
};
use serde_json::{Value, json};

use super::serve;
use crate::support::{
    ec::{EcKey, random},
    estate::{ESTATE, now, valid},
    https::{self, Answer},
    kms_ec::{self, Ec, KMS_EC, STATION, asking, by_both, ceremony, collect, package, signed_by_both},
    line::connect,
    package::{approval, replacing, signed},
    tlv::{self, field},
    world::{Server, World, results},
};

fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
    assert!(answer.json["error"]["text"].as_str().is_some_and(|text| !text.is_empty()));
}

fn codes(answer: &Answer) -> Vec<String> {
    results(answer).iter().map(|result| result["code"].as_str().unwrap().to_owned()).collect()
}

/// Uploads one entry in a good package; its code.
fn code_of(server: &Server, nonce: &[u8], entry: Value) -> String {
    codes(&server.upload(&by_both(&package(nonce, &[entry])))).remove(0)
}

fn nothing_is_stored(world: &World) {
    for table in ["terminals", "collections", "device_certificates", "key_suites"] {
        assert_eq!(world.count(table), 0, "{table}");
    }
}

#[test]
fn a_good_package_is_opened_at_once_and_its_ciphertext_dropped() {
    let (world, server) = serve(&[]);
    let terminals = [Ec::new("SN-1"), Ec::with_pin_pad("SN-2", "PP-2")];
    let nonce = ceremony(&server, STATION);
    let entries: Vec<_> = terminals.iter().map(|terminal| terminal.entry(&nonce)).collect();
    let cms = by_both(&package(&nonce, &entries));
    let answer = server.upload(&cms);
    assert_eq!(codes(&answer), ["stored", "stored"]);
    let read = "SELECT ctk_pu IS NULL AND tek LIKE 'D0%' AND suite = 2 FROM terminals";
    let kept: Vec<bool> = world
        .sql()
        .prepare(read)
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(kept, [true, true]);
    let received: Vec<_> =
        world.audit().into_iter().filter(|event| event.kind == "collection.received").collect();
    assert_eq!(received[0].actor, ESTATE.operator.subject());
    assert_eq!(received[0].detail["second"], json!(ESTATE.administrator.subject()));
    let second: String =
        world.sql().query_row("SELECT second_signer FROM collections", [], |row| row.get(0)).unwrap();
    assert_eq!(second, ESTATE.administrator.subject());
    assert_refused(&server.upload(&cms), 409, "received-before");
    for terminal in &terminals {
        terminal.download(server.terminals, 0).unwrap();
    }
    world.assert_audit_good();
}

#[test]
fn p256_cards_sign_as_well() {
    let (_world, server) = serve(&[]);
    let terminal = Ec::new("SN-1");
    let [operator, administrator] = [Role::Operator, Role::Administrator].map(|role| {
        let key = EcKey::new();
        (KMS_EC.certify(role, role.word(), &key), key)
    });
    let nonce = ceremony(&server, STATION);
    let content = package(&nonce, &[terminal.entry(&nonce)]).to_string();
    let both = [&operator, &administrator].map(|(certificate, key)| Signatory {
        signer: key,
        certificate,
        chain: &[],
    });
    let cms = cms::sign_by_both(content.as_bytes(), both, now()).unwrap();
    assert_eq!(codes(&server.upload(&cms)), ["stored"]);
}

#[test]
fn one_signer_alone_is_refused() {
    let (world, server) = serve(&[]);
    let nonce = ceremony(&server, STATION);
    let content = package(&nonce, &[Ec::new("SN-1").entry(&nonce)]);
    for person in [&ESTATE.operator, &ESTATE.administrator] {
        assert_refused(&server.upload(&signed(person, &content)), 403, "bad-signature");
    }
    nothing_is_stored(&world);
}

#[test]
fn the_same_person_twice_is_refused() {
    let (world, server) = serve(&[]);
    let nonce = ceremony(&server, STATION);
    let content = package(&nonce, &[Ec::new("SN-1").entry(&nonce)]);
    // A second card on the first one's key: CMS itself takes it for one signer.
    let same_key = ESTATE.card(Role::Administrator, "Adam Other", valid());
    let same_name = ESTATE.card_of_other_key(Role::Administrator, "Olga Operator");
    for second in [same_key, same_name] {
        let answer = server.upload(&signed_by_both(&ESTATE.operator, &second, &content));
        assert_refused(&answer, 403, "same-person");
    }
    // Two operators are not an operator and an administrator.
    let second = ESTATE.card_of_other_key(Role::Operator, "Otto Operator");
    assert_refused(&server.upload(&signed_by_both(&ESTATE.operator, &second, &content)), 403, "card-refused");
    nothing_is_stored(&world);
}

#[test]
fn a_ceremony_of_another_station_is_refused() {
    let (world, server) = serve(&[]);
    let nonce = ceremony(&server, "station 8");
    let terminal = Ec::new("SN-1");
    let answer = server.upload(&by_both(&package(&nonce, &[terminal.entry(&nonce)])));
    assert_refused(&answer, 403, "ceremony-other-station");
    // One that nobody gave, one that is none.
    let made_up: [u8; 32] = random();
    let answer = server.upload(&by_both(&package(&made_up, &[terminal.entry(&made_up)])));
    assert_refused(&answer, 403, "ceremony-unknown");
    let answer = server.upload(&by_both(&package(&made_up[..31], &[terminal.entry(&made_up)])));
    assert_refused(&answer, 422, "bad-content");
    nothing_is_stored(&world);
}

/// `old-package`: yesterday's.
#[test]
fn an_expired_ceremony_is_refused() {
    let (world, server) = serve(&[]);
    let nonce = ceremony(&server, STATION);
    let sql = world.sql();
    sql.execute_batch(
        "DROP TRIGGER ceremonies_are_never_altered; UPDATE ceremonies SET given_at = 1, expires_at = 2",
    )
    .unwrap();
    let answer = server.upload(&by_both(&package(&nonce, &[Ec::new("SN-1").entry(&nonce)])));
    assert_refused(&answer, 403, "ceremony-expired");
    nothing_is_stored(&world);
}

/// What was collected under one ceremony is not taken under another, even of the same station.
#[test]
fn an_answer_to_another_ceremony_is_refused() {
    let (world, server) = serve(&[]);
    let (first, second) = (ceremony(&server, STATION), ceremony(&server, STATION));
    assert_ne!(first, second);
    assert_eq!(code_of(&server, &second, Ec::new("SN-1").entry(&first)), "device-signature");
    nothing_but_the_package_is_stored(&world);
}

fn nothing_but_the_package_is_stored(world: &World) {
    for table in ["terminals", "device_certificates", "key_suites"] {
        assert_eq!(world.count(table), 0, "{table}");
    }
}

#[test]
fn r22_a_device_certificate_that_is_not_this_pin_pads_is_000d() {
    let (world, server) = serve(&[]);
    let nonce = ceremony(&server, STATION);
    let foreign = {
        let (root_key, key) = (EcKey::new(), EcKey::new());
        let root = pki::issue::root(
            &crate::support::estate::name("Root of suite 02"),
            &root_key,
            crate::support::estate::root_valid(),
            1,
        );
        let root = root.unwrap();
        let issuer = pki::issue::Issuer::new(&root, &root_key).unwrap();
        let subject = pki::Name::device("PIN pad", Some("Maker"), "SN-1").unwrap();
        let leaf = pki::issue::leaf(&issuer, Role::Device, &subject, key.spki_der(), valid());
        Ec { certificate: leaf.unwrap(), device: key, ..Ec::new("SN-1") }
    };
    let borrowed = {
        // `borrowed-certificate`: another terminal's, with this serial.
        let other = Ec::new("SN-2");
        Ec { certificate: other.certificate, device: other.device, ..Ec::new("SN-1") }
    };
    let external = {
        // It names the terminal where it must name the PIN pad.
        let key = EcKey::new();
        Ec {
            certificate: KMS_EC.certify(Role::Device, "SN-3", &key),
            device: key,
            ..Ec::with_pin_pad("SN-3", "PP-3")
        }
    };
    let role = {
        // `role-mix`.
        let key = EcKey::new();
        Ec { certificate: KMS_EC.certify(Role::RksSigning, "SN-1", &key), device: key, ..Ec::new("SN-1") }
    };
    for (what, terminal) in
        [("foreign", foreign), ("borrowed", borrowed), ("the terminal's name", external), ("role", role)]
    {
        assert_eq!(code_of(&server, &nonce, terminal.entry(&nonce)), "000D", "{what}");
    }
    let revoked = Ec::new("SN-1");
    world.write("crl-02.pem", &KMS_EC.crl(2, &[&revoked.certificate]));
    assert_eq!(code_of(&server, &nonce, revoked.entry(&nonce)), "000D", "revoked");
    nothing_but_the_package_is_stored(&world);
}

#[test]
fn an_answer_that_its_device_did_not_sign_is_refused() {
    let (world, server) = serve(&[]);
    let nonce = ceremony(&server, STATION);
    let terminal = Ec::new("SN-1");
    let good = terminal.collected(&collect(&nonce));
    // `substitute-tk`: any byte of what was sealed, the counter, the signature itself.
    let at = |tag: [u8; 2]| good.windows(2).position(|window| window == tag).unwrap();
    let mut seen = Vec::new();
    for position in [at([0xDF, 0x09]) + 80, at([0xDF, 0x18]) + 10, at([0xDF, 0x16]) + 20] {
        let mut changed = good.clone();
        changed[position] ^= 1;
        seen.push(code_of(&server, &nonce, terminal.entry_of(&changed)));
    }
    assert_eq!(seen, ["device-signature"; 3]);
    // Its own signature by another key, under its certificate.
    let impostor = Ec { certificate: terminal.certificate.clone(), ..terminal.impostor() };
    assert_eq!(code_of(&server, &nonce, impostor.entry(&nonce)), "device-signature");
    nothing_but_the_package_is_stored(&world);
}

#[test]
fn an_entry_that_is_not_what_was_collected_is_refused() {
    let (world, server) = serve(&[]);
    let nonce = ceremony(&server, STATION);
    let terminal = Ec::with_pin_pad("SN-1", "PP-1");
    let entry = terminal.entry(&nonce);
    let changed = |key: &str, value: Value| {
        let mut entry = entry.clone();
        entry[key] = value;
        entry
    };
    let removed = |key: &str| {
        let mut entry = entry.clone();
        entry.as_object_mut().unwrap().remove(key);
        entry
    };
    for bad in [
        changed("sn", json!("SN-2")),
        changed("pin_pad_sn", json!("PP-2")),
        removed("pin_pad_sn"),
        changed("model", json!("SIM-2")),
        changed("collected", json!("%%%")),
        changed("collected", json!(Base64::encode_string(&[1, 6]))),
        changed("collected", json!("")),
    ] {
        assert_eq!(code_of(&server, &nonce, bad.clone()), "malformed", "{bad}");
    }
    // A work key of the other suite, or of nobody's.
    for certificate in [ESTATE.work.certificate.sha256_hex(), "ab".repeat(32)] {
        let bad = changed("work_certificate_sha256", json!(certificate));
        assert_eq!(code_of(&server, &nonce, bad), "unknown-work-certificate");
    }
    nothing_but_the_package_is_stored(&world);
    assert_eq!(code_of(&server, &nonce, entry), "stored");
}

#[test]
fn packages_of_two_suites_do_not_mix() {
    let (world, server) = serve(&[]);
    let nonce = ceremony(&server, STATION);
    let old = crate::support::package::entry(&crate::support::raw::Raw::new("SN-1"));
    let new = Ec::new("SN-2").entry(&nonce);
    let answer = server.upload(&by_both(&package(&nonce, &[old, new.clone()])));
    assert_refused(&answer, 422, "bad-content");
    let mut without = package(&nonce, &[new]);
    without.as_object_mut().unwrap().remove("ceremony");
    // Without a ceremony it is one of suite 01, which one person signs.
    assert_refused(&server.upload(&by_both(&without)), 403, "bad-signature");
    assert_refused(&server.upload(&signed(&ESTATE.operator, &without)), 422, "bad-content");
    nothing_is_stored(&world);
}

#[test]
fn a_device_key_used_twice_is_refused() {
    let (world, server) = serve(&[]);
    let nonce = ceremony(&server, STATION);
    let first = Ec::new("SN-1");
    // The CA would not do it: one key, two PIN pads.
    let key = EcKey::new();
    let (one, two) = (KMS_EC.certify(Role::Device, "SN-1", &key), KMS_EC.certify(Role::Device, "SN-2", &key));
    let first = Ec { certificate: one, device: key, ..first };
    assert_eq!(code_of(&server, &nonce, first.entry(&nonce)), "stored");
    let Ec { device, .. } = first;
    let second = Ec { certificate: two, device, ..Ec::new("SN-2") };
    assert_eq!(code_of(&server, &nonce, second.entry(&nonce)), "device-key-taken");
    assert_eq!(world.count("terminals"), 1);
}

#[test]
fn r21_a_generation_that_is_not_higher_is_refused() {
    let (world, server) = serve(&[]);
    let nonce = ceremony(&server, STATION);
    let first = Ec { generation: 7, ..Ec::new("SN-1") };
    assert_eq!(code_of(&server, &nonce, first.entry(&nonce)), "stored");
    // The same TK, sealed anew under the next ceremony, is the one that is there.
    let tomorrow = ceremony(&server, STATION);
    assert_eq!(code_of(&server, &tomorrow, first.entry(&tomorrow)), "already-stored");
    let lower = Ec { generation: 6, ..first };
    assert_eq!(code_of(&server, &tomorrow, lower.entry(&tomorrow)), "already-known");
    assert_eq!(code_of(&server, &tomorrow, replacing(lower.entry(&tomorrow))), "generation-not-higher");
    assert_eq!(world.count("replacements"), 0);
}

#[test]
fn a_replacement_waits_for_a_second_person_and_then_serves() {
    let old = Ec::new("SN-1");
    let (world, server) = serve(&[&old]);
    old.download(server.terminals, 0).unwrap();
    let nonce = ceremony(&server, STATION);
    let new = old.next();
    let answer = server.upload(&by_both(&package(&nonce, &[replacing(new.entry(&nonce))])));
    let result = results(&answer).remove(0);
    assert_eq!(result["code"], json!("awaits-approval"));
    let id: i64 = world.sql().query_row("SELECT id FROM replacements", [], |row| row.get(0)).unwrap();
    let fingerprint = result["fingerprint"].as_str().unwrap();
    let asked = new.ask(&mut connect(server.terminals), 0).unwrap();
    assert!(!asked.proven, "not before it is approved");
    let content = approval("replace-tk", id, "SN-1", fingerprint);
    assert_eq!(server.approve(&signed(&ESTATE.administrator, &content)).status, 200);
    let tmk = new.download(server.terminals, 0).unwrap();
    assert_eq!(tmk.counter, Some(2), "counters are the PIN pad's and go on");
}

#[test]
fn what_a_device_signed_of_its_refusals_is_kept() {
    let (world, server) = serve(&[]);
    let nonce = ceremony(&server, STATION);
    let terminal = Ec::new("SN-1");
    let record = [
        field(tlv::REFUSAL_CHECK, b"lid"),
        field(tlv::REFUSAL_READING, b"open"),
        field(tlv::REFUSAL_WHEN, &[0x26, 0x11, 0x20, 0x12, 0x00, 0x00]),
    ]
    .concat();
    let collected = terminal.collected_with(&collect(&nonce), &field(tlv::REFUSAL, &record));
    assert_eq!(code_of(&server, &nonce, terminal.entry_of(&collected)), "stored");
    let sql = "SELECT \"check\" || reading || source FROM refusals WHERE sn = 'SN-1'";
    let kept: String = world.sql().query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(kept, "lidopenCOLLECTED");
}

#[test]
fn a_ceremony_is_an_operators_for_today() {
    let (world, server) = serve(&[]);
    let ask = |content: &Value| kms_ec::ask_ceremony(&server, &signed(&ESTATE.operator, content));
    assert_refused(
        &kms_ec::ask_ceremony(&server, &signed(&ESTATE.administrator, &asking(STATION))),
        403,
        "card-refused",
    );
    for (key, value) in [
        ("version", json!(2)),
        ("station", json!("")),
        ("station", json!("x".repeat(129))),
        ("at", json!("yesterday")),
        ("at", json!(kms_ec::rfc3339(now() - 2 * 86_400))),
        ("more", json!(1)),
    ] {
        let mut content = asking(STATION);
        content[key] = value.clone();
        assert_refused(&ask(&content), 422, "bad-content");
    }
    assert_eq!(world.count("ceremonies"), 0);
    assert_eq!(world.audit().iter().filter(|event| event.kind == "ceremony.refused").count(), 6);
    let given = ask(&asking(STATION));
    assert_eq!(given.status, 200);
    let expires_at = given.json["expires_at"].as_str().unwrap();
    let parsed = time::OffsetDateTime::parse(expires_at, &time::format_description::well_known::Rfc3339);
    let left = parsed.unwrap().unix_timestamp() - now();
    assert!((86_000..=86_400).contains(&left), "a day: {left}");
    assert_eq!(world.audit().iter().filter(|event| event.kind == "ceremony.given").count(), 1);
}

#[test]
fn the_work_certificate_of_each_suite_is_served() {
    let (_world, server) = serve(&[]);
    let get = |path: &str| https::get(server.https, path).body;
    assert_eq!(get("/v1/work-certificate?suite=2"), KMS_EC.work.pem());
    assert_eq!(get("/v1/work-certificate?suite=1"), ESTATE.work.certificate.pem());
    assert_eq!(get("/v1/work-certificate"), ESTATE.work.certificate.pem());
    assert_refused(&https::get(server.https, "/v1/work-certificate?suite=3"), 404, "no-work-key");
}
