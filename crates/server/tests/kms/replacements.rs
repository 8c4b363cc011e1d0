//! A known terminal gets another TK only by a second person's word on exactly this one (R12, R13).

use pki::Role;
use serde_json::{Value, json};

use crate::support::{
    estate::{ESTATE, valid},
    https::{self, Answer, CMS},
    line::{End, connect},
    package::{approval, entry, fingerprint, package, replacing, signed},
    raw::Raw,
    world::{Server, World, results},
};

/// A terminal whose new TK waits.
struct Waiting {
    world: World,
    server: Server,
    old: Raw,
    new: Raw,
    id: i64,
    fingerprint: String,
}

fn waiting() -> Waiting {
    let (old, new) = (Raw::new("SN-1"), Raw::new("SN-1"));
    let (world, server) = World::with(&[&old]);
    let entry = replacing(entry(&new));
    let answer = server.upload(&signed(&ESTATE.operator, &package(std::slice::from_ref(&entry))));
    assert_eq!(results(&answer)[0]["code"], json!("awaits-approval"));
    let listed = https::get(server.https, "/v1/replacements").json;
    let fingerprint = fingerprint(&entry);
    assert_eq!(listed[0]["sn"], json!("SN-1"));
    assert_eq!(listed[0]["fingerprint"], json!(fingerprint));
    assert_eq!(listed[0]["signer"], json!(ESTATE.operator.subject()));
    let id = listed[0]["id"].as_i64().unwrap();
    Waiting { world, server, old, new, id, fingerprint }
}

impl Waiting {
    fn word(&self, act: &str) -> Value {
        approval(act, self.id, "SN-1", &self.fingerprint)
    }

    fn assert_still_waits(&self) {
        self.old.download(self.server.terminals, 0).unwrap();
        assert_eq!(self.new.intrude(self.server.terminals, 0), End::Code(0x0006));
        assert_eq!(https::get(self.server.https, "/v1/replacements").json.as_array().unwrap().len(), 1);
        assert!(self.world.events("tk.replaced", "SN-1").is_empty());
        self.world.assert_audit_good();
    }
}

fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
}

#[test]
fn an_administrators_word_takes_effect_once() {
    let waiting = waiting();
    let Waiting { world, server, old, new, .. } = &waiting;
    let active = old.download(server.terminals, 0).unwrap();
    let pending = old.fetch(&mut connect(server.terminals), 1).unwrap();
    let word = signed(&ESTATE.administrator, &waiting.word("replace-tk"));
    let answer = server.approve(&word);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json["ok"], json!(true));

    assert!(world.keys("SN-1", 1, "pending").is_empty(), "the pending key is dropped");
    assert_eq!(world.keys("SN-1", 1, "dropped").len(), 1);
    assert_eq!(old.intrude(server.terminals, 0), End::Code(0x0006), "the old TK proves nothing");
    let fetched = new.download(server.terminals, 1).unwrap();
    assert_ne!(fetched.key, pending.key, "and its pending key is never sent again");
    assert_eq!(world.keys("SN-1", 0, "active"), [active.kcv.map(|byte| format!("{byte:02X}")).concat()]);

    assert_refused(&server.approve(&word), 409, "not-waiting");
    assert_refused(
        &server.approve(&signed(&ESTATE.administrator, &waiting.word("reject-replacement"))),
        409,
        "not-waiting",
    );
    assert_eq!(https::get(server.https, "/v1/replacements").json, json!([]));
    let replaced = world.events("tk.replaced", "SN-1");
    assert_eq!(replaced.len(), 1);
    assert_eq!(replaced[0].actor, ESTATE.administrator.subject());
    let detail = replaced[0].detail.to_string();
    assert!(detail.contains(&waiting.fingerprint) && detail.contains(&ESTATE.operator.subject()), "{detail}");
    world.assert_audit_good();
}

#[test]
fn a_word_given_several_times_at_once_takes_effect_once() {
    let waiting = waiting();
    let word = signed(&ESTATE.administrator, &waiting.word("replace-tk"));
    let (address, word) = (waiting.server.https, &word);
    let send = || https::post(address, "/v1/approvals", CMS, word).status;
    let mut codes: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..5).map(|_| scope.spawn(send)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    codes.sort_unstable();
    assert_eq!(codes, [200, 409, 409, 409, 409]);
    assert_eq!(waiting.world.events("tk.replaced", "SN-1").len(), 1);
    let generation: i64 =
        waiting.world.sql().query_row("SELECT tk_generation FROM terminals", [], |row| row.get(0)).unwrap();
    assert_eq!(generation, 2);
}

#[test]
fn a_rejected_replacement_is_gone_and_nothing_changed() {
    let waiting = waiting();
    let word = signed(&ESTATE.administrator, &waiting.word("reject-replacement"));
    assert_eq!(waiting.server.approve(&word).status, 200);
    let late = signed(&ESTATE.administrator, &waiting.word("replace-tk"));
    assert_refused(&waiting.server.approve(&late), 409, "not-waiting");
    waiting.old.download(waiting.server.terminals, 0).unwrap();
    assert_eq!(waiting.new.intrude(waiting.server.terminals, 0), End::Code(0x0006));
    let rejected = waiting.world.events("tk.replacement-rejected", "SN-1");
    assert_eq!(rejected[0].actor, ESTATE.administrator.subject());
}

#[test]
fn the_person_who_collected_does_not_approve() {
    let waiting = waiting();
    // The same person with an administrator card of her own.
    let same = ESTATE.card(Role::Administrator, "Olga Operator", valid());
    assert_eq!(same.subject(), ESTATE.operator.subject());
    let answer = waiting.server.approve(&signed(&same, &waiting.word("replace-tk")));
    assert_refused(&answer, 403, "same-person");
    let refused = waiting.world.events("approval.refused", "SN-1");
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].actor, same.subject());
    waiting.assert_still_waits();
}

#[test]
fn only_an_administrator_card_approves() {
    let waiting = waiting();
    let word = waiting.word("replace-tk");
    // The very card that collected, another operator's, and every other role.
    assert_refused(&waiting.server.approve(&signed(&ESTATE.operator, &word)), 403, "card-refused");
    for role in Role::SUITE_01.into_iter().filter(|role| *role != Role::Administrator) {
        let card = ESTATE.card(role, "Some Body", valid());
        assert_refused(&waiting.server.approve(&signed(&card, &word)), 403, "card-refused");
    }
    waiting.assert_still_waits();
}

#[test]
fn a_revoked_administrator_does_not_approve() {
    let waiting = waiting();
    let card = ESTATE.card(Role::Administrator, "Gone Already", valid());
    std::thread::sleep(std::time::Duration::from_millis(20));
    waiting.world.write("crl.pem", &ESTATE.crl(2, &[&card.certificate]));
    let answer = waiting.server.approve(&signed(&card, &waiting.word("replace-tk")));
    assert_refused(&answer, 403, "card-revoked");
    waiting.assert_still_waits();
}

#[test]
fn a_word_on_something_else_is_refused() {
    let waiting = waiting();
    let approve = |content: Value| waiting.server.approve(&signed(&ESTATE.administrator, &content));
    let fine = waiting.word("replace-tk");
    let with = |name: &str, value: Value| {
        let mut content = fine.clone();
        content[name] = value;
        content
    };
    let mut other = waiting.fingerprint.clone().into_bytes();
    other[19] = if other[19] == b'0' { b'1' } else { b'0' };
    let other = String::from_utf8(other).unwrap();
    assert_refused(&approve(with("fingerprint", json!(other))), 409, "other-fingerprint");
    assert_refused(&approve(with("fingerprint", json!(""))), 409, "other-fingerprint");
    assert_refused(&approve(with("sn", json!("SN-2"))), 409, "other-fingerprint");
    assert_refused(&approve(with("id", json!(waiting.id + 1))), 409, "not-waiting");
    assert_refused(&approve(with("version", json!(2))), 422, "bad-content");
    assert_refused(&approve(with("act", json!("replace-everything"))), 422, "bad-content");
    assert_refused(&approve(with("and", json!("something else"))), 422, "bad-content");
    assert_refused(&approve(json!({})), 422, "bad-content");
    let refused: Vec<_> =
        waiting.world.audit().into_iter().filter(|event| event.kind == "approval.refused").collect();
    assert_eq!(refused.len(), 8);
    assert!(refused.iter().all(|event| event.actor == ESTATE.administrator.subject()));
    waiting.assert_still_waits();
}

#[test]
fn a_word_changed_by_one_byte_is_refused() {
    let waiting = waiting();
    let cms = signed(&ESTATE.administrator, &waiting.word("replace-tk"));
    let at = cms.windows(4).position(|window| window == b"SN-1").unwrap();
    for at in [at + 3, at - 20, cms.len() - 1] {
        let mut changed = cms.clone();
        changed[at] ^= 1;
        assert_eq!(waiting.server.approve(&changed).status, 403, "byte {at}");
    }
    let answer = https::post(waiting.server.https, "/v1/approvals", "application/json", &cms);
    assert_refused(&answer, 415, "wrong-media-type");
    let answer = https::post(waiting.server.https, "/v1/collections", CMS, &cms);
    assert_refused(&answer, 403, "card-refused");
    waiting.assert_still_waits();
}

#[test]
fn a_later_collection_overtakes_one_that_waits() {
    let waiting = waiting();
    let later = Raw::new("SN-1");
    let entry = replacing(entry(&later));
    waiting.server.collect_raw(&signed(&ESTATE.operator, &package(std::slice::from_ref(&entry))));
    let answer = waiting.server.approve(&signed(&ESTATE.administrator, &waiting.word("replace-tk")));
    assert_refused(&answer, 409, "not-waiting");
    let id = https::get(waiting.server.https, "/v1/replacements").json[0]["id"].as_i64().unwrap();
    let word = approval("replace-tk", id, "SN-1", &fingerprint(&entry));
    assert_eq!(waiting.server.approve(&signed(&ESTATE.administrator, &word)).status, 200);
    later.download(waiting.server.terminals, 0).unwrap();
}

#[test]
fn a_key_on_its_way_when_the_tk_changes_is_not_confirmed() {
    let waiting = waiting();
    let mut line = connect(waiting.server.terminals);
    let tmk = waiting.old.fetch(&mut line, 2).unwrap();
    let word = signed(&ESTATE.administrator, &waiting.word("replace-tk"));
    assert_eq!(waiting.server.approve(&word).status, 200);
    line.send(&crate::support::raw::confirm(&tmk.kcv));
    assert_eq!(line.end(), End::Code(0x000B));
    assert!(waiting.world.keys("SN-1", 2, "active").is_empty());
}

#[test]
fn r11_a_terminal_challenged_before_its_tk_changed_gets_no_key() {
    let waiting = waiting();
    let mut line = connect(waiting.server.terminals);
    let asked = waiting.old.ask(&mut line, 2).unwrap();
    let word = signed(&ESTATE.administrator, &waiting.word("replace-tk"));
    assert_eq!(waiting.server.approve(&word).status, 200);
    waiting.old.prove(&mut line, &asked);
    assert_eq!(line.end(), End::Code(0x000B));
    assert!(waiting.world.keys("SN-1", 2, "pending").is_empty());
    waiting.new.download(waiting.server.terminals, 2).unwrap();
}
