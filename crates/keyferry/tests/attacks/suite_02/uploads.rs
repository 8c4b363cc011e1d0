//! Collected transport keys on their way to the KMS: made by the tester, of another terminal, of yesterday, and such as
//! nobody could open.

use std::collections::BTreeSet;

use paycrypto::ec::{
    CollectInfo, PublicPoint, Tk,
    keys::{Auk, Tek},
};
use pki::{Role, Scheme, Signer};
use serde_json::{Value, json};

use super::peer;
use crate::support::{
    ec::{EcKey, SIGNATURE, is_signed, random, without},
    estate::{DAY, ESTATE, now, valid},
    kms_ec::{
        self, COUNTER, DEVICE_CERTIFICATE, Ec, KMS_EC, STATION, asking, by_both, ceremony, collect, package,
        signed_by_both,
    },
    line::{End, connect},
    package::{approval, replacing, signed},
    tlv::{self, field, frame},
    world::{Options, Server, World, results},
};

const NOT_PROVEN: End = End::Code(0x0006);

fn serve() -> (World, Server) {
    let world = World::new();
    let server = world.start(&Options { suite_02: true, ..Options::default() });
    kms_ec::install(&server);
    (world, server)
}

/// Uploads one entry in a package by both cards; its code.
fn code(server: &Server, nonce: &[u8], entry: Value) -> String {
    let answer = server.upload(&by_both(&package(nonce, &[entry])));
    results(&answer)[0]["code"].as_str().unwrap().to_owned()
}

/// What a download comes to for whoever has these keys; he plays along although the server has not proved itself.
fn intrude(terminal: &Ec, server: &Server) -> Result<(), End> {
    let mut line = connect(server.terminals);
    let asked = terminal.ask(&mut line, 0)?;
    let mac_t = asked.mac_t();
    terminal.receive(&mut line, asked, &mac_t).map(drop)
}

/// COLLECTED of these parts, signed by this key.
fn collected(nonce: &[u8], sn: &str, df09: &[u8], generation: u64, device: &Ec) -> Vec<u8> {
    let before = [field(tlv::SN, sn.as_bytes()), field(tlv::CTK_PU, df09)].concat();
    let after = [
        field(COUNTER, &generation.to_be_bytes()),
        field(DEVICE_CERTIFICATE, device.certificate.der()),
        field(0xDF30, b"KF"),
        field(0xDF31, b"SIM-1"),
    ]
    .concat();
    let bare = frame(tlv::COLLECTED, &[&before[..], &after].concat());
    let over = [b"KF2K", &collect(nonce)[..], &bare].concat();
    let signature = device.device.sign(Scheme::EcdsaP256Sha256, &over).unwrap();
    frame(tlv::COLLECTED, &[before, field(SIGNATURE, &signature), after].concat())[2..].to_vec()
}

/// TEK ‖ AUK sealed to the KMS, bound to these serials.
fn sealed(nonce: &[u8], sn: &str, serial: &str, generation: u64, keys: [&[u8; 32]; 2]) -> Vec<u8> {
    let tk = Tk::from_keys(Tek::from_bytes(keys[0]), Auk::from_bytes(keys[1])).unwrap();
    let point = PublicPoint::from_spki(KMS_EC.work.spki_der()).unwrap();
    tk.seal(&point, &CollectInfo::new(&collect(nonce), sn, serial, generation)).unwrap()
}

/// The bytes of a field in a payload.
fn value_of(payload: &[u8], tag: u16) -> Vec<u8> {
    tlv::Message::read(&tlv::frame_of(payload)).get(tag).to_vec()
}

/// Attack 5: a TK that the tester made, under the signatures of genuine cards. He has no key that the acquirer's root has
/// certified for this PIN pad: nothing is stored. The true terminal is, and the tester gets nothing from it.
#[test]
fn substitute_tk() {
    let (world, server) = serve();
    let nonce = ceremony(&server, STATION);
    let true_one = Ec::new("SN-1");
    let tester = true_one.impostor();
    let genuine = true_one.collected(&collect(&nonce));
    let own = sealed(&nonce, "SN-1", "SN-1", 1, [&tester.tek, &tester.auk]);

    let uncertified = {
        let (root_key, device) = (EcKey::new(), EcKey::new());
        let root_name = crate::support::estate::name("Root of suite 02");
        let root = pki::issue::root(&root_name, &root_key, crate::support::estate::root_valid(), 1).unwrap();
        let issuer = pki::issue::Issuer::new(&root, &root_key).unwrap();
        let subject = pki::Name::device("PIN pad", Some("Maker"), "SN-1").unwrap();
        let leaf = pki::issue::leaf(&issuer, Role::Device, &subject, device.spki_der(), valid()).unwrap();
        Ec { certificate: leaf, device, ..true_one.impostor() }
    };
    assert_eq!(code(&server, &nonce, uncertified.entry(&nonce)), "000D", "a root of the same name");
    let recorded = Ec { certificate: true_one.certificate.clone(), ..true_one.impostor() };
    assert_eq!(code(&server, &nonce, recorded.entry(&nonce)), "device-signature");
    // The true terminal's COLLECTED, with another DF09 in it.
    let mut changed = genuine.clone();
    let old = value_of(&genuine, tlv::CTK_PU);
    let at = genuine.windows(old.len()).position(|window| window == old).unwrap();
    changed[at..at + old.len()].copy_from_slice(&own);
    assert_eq!(code(&server, &nonce, true_one.entry_of(&changed)), "device-signature");
    // One card alone, twice the same person, two operators.
    let content = package(&nonce, &[tester.entry(&nonce)]);
    assert_eq!(server.upload(&signed(&ESTATE.operator, &content)).code(), "bad-signature");
    let same = ESTATE.card_of_other_key(Role::Administrator, "Olga Operator");
    assert_eq!(server.upload(&signed_by_both(&ESTATE.operator, &same, &content)).code(), "same-person");
    let second = ESTATE.card_of_other_key(Role::Operator, "Otto Operator");
    assert_eq!(server.upload(&signed_by_both(&ESTATE.operator, &second, &content)).code(), "card-refused");
    assert_eq!(world.count("terminals"), 0);

    assert_eq!(code(&server, &nonce, true_one.entry_of(&genuine)), "stored");
    assert_eq!(intrude(&tester, &server), Err(NOT_PROVEN));
    true_one.download(server.terminals, 0).unwrap();
    // Known now: another TK waits for a second person, and only where the acquirer's root has certified its key.
    assert_eq!(code(&server, &nonce, replacing(uncertified.entry(&nonce))), "000D");
    assert_eq!(code(&server, &nonce, tester.next().entry(&nonce)), "already-known");
    assert_eq!(world.count("replacements"), 0);
    world.assert_audit_good();
}

/// Attack 6: what A's PIN pad sealed and signed, under B's serial, in the entry, in COLLECTED, and in both; and B's own
/// device, sealing what is bound to A.
#[test]
fn wrong_owner() {
    let (world, server) = serve();
    let nonce = ceremony(&server, STATION);
    let (a, b) = (Ec::new("SN-A"), Ec::new("SN-B"));
    let of_a = a.collected(&collect(&nonce));
    let mut moved = a.entry_of(&of_a);
    moved["sn"] = json!("SN-B");
    assert_eq!(code(&server, &nonce, moved), "malformed", "the entry is not what was collected");
    let mut renamed = of_a.clone();
    let at = renamed.windows(4).position(|window| window == b"SN-A").unwrap();
    renamed[at..at + 4].copy_from_slice(b"SN-B");
    let both = b.entry_of(&renamed);
    assert_eq!(code(&server, &nonce, both), "000D", "A's certificate");
    // B's device signs what A's PIN pad sealed: a TK is bound to the serials inside its seal.
    let stolen = collected(&nonce, "SN-B", &value_of(&of_a, tlv::CTK_PU), 1, &b);
    assert_eq!(code(&server, &nonce, b.entry_of(&stolen)), "transport-key-refused");
    assert_eq!(world.count("terminals"), 0);
    // An external PIN pad's, under another terminal's serial.
    let external = Ec::with_pin_pad("SN-C", "PP-C");
    let mut elsewhere = external.entry(&nonce);
    elsewhere["sn"] = json!("SN-D");
    assert_eq!(code(&server, &nonce, elsewhere), "malformed");
    assert_eq!(code(&server, &nonce, a.entry_of(&of_a)), "stored");
    assert_eq!(code(&server, &nonce, b.entry(&nonce)), "stored");
    let own = a.download(server.terminals, 0).unwrap();
    let other = b.download(server.terminals, 0).unwrap();
    assert_ne!(own.key, other.key);
    let as_b = Ec { sn: "SN-B".into(), ..a };
    assert_eq!(intrude(&as_b, &server), Err(NOT_PROVEN), "A's key opens nothing of B's");
}

/// Attack 7: yesterday's upload again, as it was and signed anew, under its own ceremony, today's and another
/// station's, before and after the terminal was collected anew.
#[test]
fn old_package() {
    let (world, server) = serve();
    let nonce = ceremony(&server, STATION);
    let old = Ec::new("SN-1");
    let entry_old = old.entry(&nonce);
    let yesterday = by_both(&package(&nonce, std::slice::from_ref(&entry_old)));
    assert_eq!(server.upload(&yesterday).status, 200);
    assert_eq!(
        (server.upload(&yesterday).status, server.upload(&yesterday).code()),
        (409, "received-before")
    );

    let (tek, auk) = (old.tek, old.auk);
    let new = old.next();
    let entry_new = replacing(new.entry(&nonce));
    let uploaded = server.upload(&by_both(&package(&nonce, std::slice::from_ref(&entry_new))));
    let waiting = results(&uploaded).remove(0);
    assert_eq!(waiting["code"], json!("awaits-approval"));
    let id = crate::support::https::get(server.https, "/v1/replacements").json[0]["id"].as_i64().unwrap();
    let word = approval("replace-tk", id, "SN-1", waiting["fingerprint"].as_str().unwrap());
    assert_eq!(server.approve(&signed(&ESTATE.administrator, &word)).status, 200);
    new.download(server.terminals, 0).unwrap();

    // As it was; signed anew by other cards; asking to replace: its generation is not higher any more.
    assert_eq!(
        (server.upload(&yesterday).status, server.upload(&yesterday).code()),
        (409, "received-before")
    );
    let other_card = ESTATE.card(Role::Operator, "Other Operator", valid());
    let anew = |nonce: &[u8], entry: &Value| {
        let content = package(nonce, std::slice::from_ref(entry));
        server.upload(&signed_by_both(&other_card, &ESTATE.administrator, &content))
    };
    let first = |answer| results(&answer)[0]["code"].as_str().unwrap().to_owned();
    assert_eq!(first(anew(&nonce, &entry_old)), "already-known");
    assert_eq!(first(anew(&nonce, &replacing(entry_old.clone()))), "generation-not-higher");
    // Under today's ceremony it is no answer to what was asked, and another station's is not this one's.
    let today = ceremony(&server, STATION);
    assert_eq!(first(anew(&today, &replacing(entry_old.clone()))), "device-signature");
    let elsewhere = ceremony(&server, "station 8");
    assert_eq!(anew(&elsewhere, &entry_old).code(), "ceremony-other-station");
    assert_eq!(anew(&random::<32>(), &entry_old).code(), "ceremony-unknown");
    // A day later the ceremony is over, for everything that was collected under it.
    let sql = world.sql();
    sql.execute_batch(
        "DROP TRIGGER ceremonies_are_never_altered; UPDATE ceremonies SET given_at = 1, expires_at = 2",
    )
    .unwrap();
    assert_eq!(anew(&nonce, &Ec::new("SN-2").entry(&nonce)).code(), "ceremony-expired");
    let mut stale = asking(STATION);
    stale["at"] = json!(kms_ec::rfc3339(now() - 2 * DAY));
    assert_eq!(kms_ec::ask_ceremony(&server, &signed(&ESTATE.operator, &stale)).code(), "bad-content");

    let before = Ec { tek, auk, ..new.impostor() };
    assert_eq!(intrude(&before, &server), Err(NOT_PROVEN));
    new.download(server.terminals, 0).unwrap();
    world.assert_audit_good();
}

/// Attack 7, at the terminal: yesterday's COLLECT gets the same bytes, today's the same TK sealed and signed anew for this
/// nonce, and another KMS nothing at all.
#[test]
fn old_package_at_the_terminal() {
    let mut pos = peer::terminal();
    let (yesterday, today) = (random(), random());
    let mut answer = |certificate: &pki::Certificate, nonce: &[u8; 32]| {
        let answer = terminal::collect::answer(&mut pos, &peer::collect_frame(certificate, nonce));
        answer.map(|answer| answer.frame.bytes().to_vec()).map_err(|refusal| refusal.fault.code.number())
    };
    let kms = peer::kms();
    let first = answer(&kms, &yesterday).unwrap();
    assert_eq!(answer(&kms, &yesterday).unwrap(), first);
    let second = answer(&kms, &today).unwrap();
    assert_eq!(answer(&KMS_EC.work, &today), Err(0x0008));
    let [old, new] = [(&first, yesterday), (&second, today)].map(|(said, nonce)| {
        let message = tlv::Message::read(said);
        let collect = peer::collect_frame(&kms, &nonce);
        let over = [collect.bytes(), &without(&message, SIGNATURE)].concat();
        let device = pki::Certificate::from_der(message.get(DEVICE_CERTIFICATE)).unwrap();
        let signed = message.get(SIGNATURE);
        assert!(is_signed(device.spki_der(), b'K', &over, signed));
        (message.get(COUNTER).to_vec(), peer::opened(&collect, &message), message.get(tlv::CTK_PU).to_vec())
    });
    assert_eq!((&old.0, &old.1), (&new.0, &new.1), "the same TK, of the same generation");
    assert_ne!(old.2, new.2, "sealed anew");
}

/// Attack 8: there is no RSA and so no padding. What stands in its place, DF09, is spoilt in every way by a device whose
/// signature is good: one code, one text, and nothing stored.
#[test]
fn padding_oracle() {
    let (world, server) = serve();
    let nonce = ceremony(&server, STATION);
    let device = Ec::new("SN-1");
    let good = sealed(&nonce, "SN-1", "SN-1", 1, [&device.tek, &device.auk]);
    let mut spoilt = Vec::new();
    // Every byte of the sealed keys and of the tag, and of x of the ephemeral key, by a bit.
    for at in (1..good.len()).step_by(3) {
        let mut one = good.clone();
        one[at] ^= 1 << (at % 8);
        spoilt.push(one);
    }
    spoilt.push([&good[..65], &random::<80>()[..]].concat());
    spoilt.push([&good[..65], &good[65..81], &good[65..81], &good[97..]].concat());
    spoilt.push([&vec![4; 65][..], &good[65..]].concat());
    let wrong = [("SN-2", "SN-1", 1), ("SN-1", "SN-2", 1), ("SN-1", "SN-1", 2)];
    let bound = |(sn, serial, generation)| sealed(&nonce, sn, serial, generation, [&device.tek, &device.auk]);
    spoilt.extend(wrong.map(bound));
    spoilt.push(sealed(&random::<32>(), "SN-1", "SN-1", 1, [&device.tek, &device.auk]));
    let mut answers = BTreeSet::new();
    for df09 in &spoilt {
        let payload = collected(&nonce, "SN-1", df09, 1, &device);
        let answer = server.upload(&by_both(&package(&nonce, &[device.entry_of(&payload)])));
        answers.insert((results(&answer)[0].to_string(), answer.body.len()));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|(answer, _)| answer.contains("transport-key-refused")), "{answers:?}");
    assert_eq!(world.count("terminals"), 0);
    let payload = collected(&nonce, "SN-1", &good, 1, &device);
    assert_eq!(code(&server, &nonce, device.entry_of(&payload)), "stored");
}
