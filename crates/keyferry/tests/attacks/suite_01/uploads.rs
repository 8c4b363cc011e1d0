//! Collected transport keys on their way to the KMS: made by the tester, of another terminal, of yesterday.

use pki::Role;
use serde_json::{Value, json};
use terminal::collect;

use super::forge::{SN, collect_frame, terminal};
use crate::support::{
    estate::{ESTATE, valid},
    https,
    line::{End, connect},
    package::{approval, entry, entry_of, fingerprint, package, replacing, signed},
    raw::Raw,
    tlv::{CTK_PU, Message},
    world::{Options, World, results},
};

const NOT_PROVEN: End = End::Code(0x0006);

/// Attack 5: a TK that the tester made, under the signature of a genuine card. This suite cannot tell it from one that a
/// PIN pad made: what the product shows is another fingerprint than the terminal's display, and what a terminal
/// gets is nothing. A serial that is known already needs a second person, to whom the fingerprint is shown.
#[test]
fn substitute_tk() {
    let world = World::new();
    let server = world.start(&Options::default());
    let mut terminal = terminal();
    let answer = collect::answer(&mut terminal, &collect_frame(&ESTATE.work.certificate)).unwrap();
    let true_one = Message::read(answer.frame.bytes()).get(CTK_PU).to_vec();
    let tester = Raw::new(SN);
    let substituted = entry(&tester);
    let stored = server.upload(&signed(&ESTATE.operator, &package(std::slice::from_ref(&substituted))));
    let kept = results(&stored)[0]["fingerprint"].clone();
    assert_ne!(kept, json!(answer.fingerprint), "the display and the KMS show different ones");
    assert_eq!(kept, json!(fingerprint(&substituted)));
    let shown = terminal.status().collected.unwrap().fingerprint;
    assert_eq!((shown, 20), (answer.fingerprint.clone(), answer.fingerprint.len()));
    // The true terminal finds that the server does not know its key, and takes nothing.
    let stream = terminal::connect(server.terminals).unwrap();
    let refused = terminal::download(&mut terminal, stream, super::forge::slot(0)).unwrap_err();
    assert!(refused.to_string().contains("0005"), "{refused}");
    assert!(world.keys(SN, 0, "active").is_empty());

    // Put right by two people, who see both fingerprints; and so only could it have been put wrong.
    let right = replacing(entry_of(&Raw::new(SN), &true_one));
    let uploaded = server.upload(&signed(&ESTATE.operator, &package(&[right])));
    assert_eq!(results(&uploaded)[0]["code"], json!("awaits-approval"));
    let listed = https::get(server.https, "/v1/replacements").json;
    assert_eq!(listed[0]["fingerprint"], json!(answer.fingerprint));
    let word = approval("replace-tk", listed[0]["id"].as_i64().unwrap(), SN, &answer.fingerprint);
    let same_person = ESTATE.card(Role::Administrator, "Olga Operator", valid());
    assert_eq!(server.approve(&signed(&same_person, &word)).code(), "same-person");
    assert_eq!(server.approve(&signed(&ESTATE.administrator, &word)).status, 200);
    assert_eq!(tester.intrude(server.terminals, 0), NOT_PROVEN);
    let stream = terminal::connect(server.terminals).unwrap();
    terminal::download(&mut terminal, stream, super::forge::slot(0)).unwrap();
}

/// Attack 6: Ctk_Pu of A under B's serial. A known TK is no other terminal's. Where the false entry comes first, the true
/// owner's is what is refused, so that somebody asks; and A cannot use what is made for B, since each block says whose it is.
#[test]
fn wrong_owner() {
    let world = World::new();
    let server = world.start(&Options::default());
    let (a, b) = (Raw::new("SN-A"), Raw::new("SN-B"));
    let entry_a = entry(&a);
    let under = |entry: &Value, sn: &str| {
        let mut entry = entry.clone();
        entry["sn"] = json!(sn);
        entry
    };
    let moved = under(&entry_a, "SN-B");
    let in_one = server.upload(&signed(&ESTATE.operator, &package(&[entry_a.clone(), moved.clone()])));
    assert_eq!(results(&in_one)[0]["fingerprint"], json!(fingerprint(&entry_a)));
    let alone = server.upload(&signed(&ESTATE.operator, &package(&[moved])));
    for result in [&results(&in_one)[1], &results(&alone)[0]] {
        assert_eq!((&result["ok"], &result["code"]), (&json!(false), &json!("same-transport-key")));
    }

    // Neither B itself nor whoever holds A's key is served as B.
    let as_b = Raw { sn: "SN-B".into(), pin_pad: None, tek: a.tek.clone(), auk: a.auk.clone() };
    for nobody in [&b, &as_b] {
        assert_eq!(nobody.intrude(server.terminals, 0), NOT_PROVEN);
    }
    let own = a.download(server.terminals, 0).unwrap();
    assert!(own.block.contains("SN-A/00"));

    let (c, entry_c) = {
        let c = Raw::new("SN-C");
        let entry = entry(&c);
        (c, entry)
    };
    server.upload(&signed(&ESTATE.operator, &package(&[under(&entry_c, "SN-D")])));
    let refused = server.upload(&signed(&ESTATE.operator, &package(&[entry_c])));
    assert_eq!(results(&refused)[0]["code"], json!("same-transport-key"));
    let as_d = Raw { sn: "SN-D".into(), pin_pad: None, tek: c.tek.clone(), auk: c.auk.clone() };
    let given = as_d.fetch(&mut connect(server.terminals), 0).unwrap();
    assert!(given.block.contains("SN-D/00"), "C's PIN pad refuses it");
}

/// Attack 7: yesterday's upload again, as it was and signed anew, before and after the terminal was collected anew.
#[test]
fn old_package() {
    let old = Raw::new("SN-1");
    let world = World::new();
    let server = world.start(&Options::default());
    let entry_old = entry(&old);
    let yesterday = signed(&ESTATE.operator, &package(std::slice::from_ref(&entry_old)));
    assert_eq!(server.upload(&yesterday).status, 200);
    assert_eq!(server.upload(&yesterday).code(), "received-before");

    let new = Raw::new("SN-1");
    let entry_new = replacing(entry(&new));
    server.upload(&signed(&ESTATE.operator, &package(std::slice::from_ref(&entry_new))));
    let id = https::get(server.https, "/v1/replacements").json[0]["id"].as_i64().unwrap();
    let word = signed(&ESTATE.administrator, &approval("replace-tk", id, "SN-1", &fingerprint(&entry_new)));
    assert_eq!(server.approve(&word).status, 200);
    new.download(server.terminals, 0).unwrap();

    assert_eq!(
        (server.upload(&yesterday).status, server.upload(&yesterday).code()),
        (409, "received-before")
    );
    assert_eq!((server.approve(&word).status, server.approve(&word).code()), (409, "not-waiting"));
    let other_card = ESTATE.card(Role::Operator, "Other Operator", valid());
    let again = server.upload(&signed(&other_card, &package(std::slice::from_ref(&entry_old))));
    assert_eq!(results(&again)[0]["ok"], json!(false), "{again:?}");
    let asked = server.upload(&signed(&other_card, &package(&[replacing(entry_old)])));
    assert_eq!(results(&asked)[0]["code"], json!("old-transport-key"), "not even for a second person");
    assert_eq!(old.intrude(server.terminals, 0), NOT_PROVEN);
    new.download(server.terminals, 0).unwrap();
    world.assert_audit_good();
}
