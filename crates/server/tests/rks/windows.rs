//! A terminal that asks to be collected: only inside a window that two people opened for its serial.

use base64ct::{Base64, Encoding};
use pki::Role;
use serde_json::{Value, json};

use crate::support::{
    estate::{ESTATE, Person, now, valid},
    https::{self, Answer, CMS},
    line::{End, Line, connect},
    package::{approval, signed},
    raw::Raw,
    tlv::{self, field, frame},
    world::{Options, Server, World},
};

const REFUSED: End = End::Code(0x0006);

fn in_an_hour() -> String {
    rfc3339(now() + 3600)
}

fn rfc3339(unix: i64) -> String {
    let days = unix / 86_400;
    // Enough of a calendar for a test: days to a date (Howard Hinnant's civil_from_days).
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    let second = unix % 86_400;
    format!("{year}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

fn request(serials: &[&str], expires_at: &str) -> Value {
    json!({ "version": 1, "act": "ask-collection-windows", "serials": serials, "expires_at": expires_at,
            "asked_at": "2026-11-20T12:00:00Z" })
}

fn opening(operator: &Person, request: &Value) -> Value {
    json!({ "version": 1, "act": "open-collection-windows", "serials": request["serials"],
            "expires_at": request["expires_at"], "asked_by": operator.subject(),
            "request": Base64::encode_string(&signed(operator, request)), "approved_at": "2026-11-20T12:05:00Z" })
}

fn post(server: &Server, who: &Person, opening: &Value) -> Answer {
    https::post(server.https, "/v1/collection-windows", CMS, &signed(who, opening))
}

pub(crate) fn open(server: &Server, serials: &[&str]) {
    let answer =
        post(server, &ESTATE.administrator, &opening(&ESTATE.operator, &request(serials, &in_an_hour())));
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn ask(terminal: &Raw) -> Vec<u8> {
    let mut fields = [field(tlv::SUITE, &[1]), field(tlv::SN, terminal.sn.as_bytes())].concat();
    if let Some(pin_pad) = &terminal.pin_pad {
        fields.extend(field(tlv::PIN_PAD, pin_pad.as_bytes()));
    }
    frame(tlv::COLLECT_ASK, &fields)
}

fn collected(sn: &str, ciphertext: &[u8], more: &[u8]) -> Vec<u8> {
    let fields = [field(tlv::SN, sn.as_bytes()), field(tlv::CTK_PU, ciphertext), more.to_vec()].concat();
    frame(tlv::COLLECTED, &fields)
}

/// COLLECT_ASK, and COLLECT with the work certificate.
fn asked(server: &Server, terminal: &Raw) -> Result<Line, End> {
    let mut line = connect(server.terminals);
    line.send(&ask(terminal));
    let collect = line.expect(tlv::COLLECT)?;
    assert_eq!(collect.get(tlv::CERTIFICATE), ESTATE.work.certificate.der());
    assert_eq!(collect.get(tlv::SUITE), [1]);
    Ok(line)
}

fn ciphertext(terminal: &Raw) -> Vec<u8> {
    terminal.ciphertext(ESTATE.work.certificate.spki_der())
}

fn give(server: &Server, terminal: &Raw, ciphertext: &[u8]) -> Result<(), End> {
    let mut line = asked(server, terminal)?;
    line.send(&collected(&terminal.sn, ciphertext, &[]));
    line.expect(tlv::DONE).map(|done| assert_eq!(done.frame, [0, 2, 1, 6]))
}

fn fingerprints(world: &World) -> Vec<String> {
    let sql = world.sql();
    let mut rows = sql.prepare("SELECT fingerprint FROM terminals ORDER BY sn").unwrap();
    let found = rows.query_map([], |row| row.get(0)).unwrap();
    found.map(Result::unwrap).collect()
}

#[test]
fn inside_its_window_a_terminal_is_collected_once_and_served() {
    let terminal = Raw::new("SN-1");
    let world = World::new();
    let server = world.start(&Options::default());
    assert_eq!(asked(&server, &terminal).err(), Some(REFUSED), "no window");
    open(&server, &["SN-1", "SN-2"]);
    let key = ciphertext(&terminal);
    give(&server, &terminal, &key).unwrap();
    let expected = wire_fingerprint("SN-1", &key);
    assert_eq!(fingerprints(&world), std::slice::from_ref(&expected));
    terminal.download(server.terminals, 0).unwrap();
    // DONE was lost: the latch's same bytes get it again; another key gets nothing.
    give(&server, &terminal, &key).unwrap();
    assert_eq!(give(&server, &terminal, &ciphertext(&Raw::new("SN-1"))), Err(REFUSED));
    assert_eq!(fingerprints(&world), [expected]);
    assert_eq!(world.count("collections"), 1);
    let event = &world.events("collection.asked", "SN-1");
    let events: Vec<_> = world.audit().into_iter().filter(|e| e.kind == "collection.asked").collect();
    assert_eq!((event.len(), events.len()), (1, 1));
    assert_eq!(event[0].detail["opened_by"], json!(ESTATE.administrator.subject()));
    assert_eq!(event[0].detail["asked_by"], json!(ESTATE.operator.subject()));
    world.assert_audit_good();
}

fn wire_fingerprint(sn: &str, ciphertext: &[u8]) -> String {
    crate::support::package::fingerprint(&json!({ "sn": sn, "ctk_pu": Base64::encode_string(ciphertext) }))
}

#[test]
fn a_known_terminals_new_key_waits_for_a_second_person() {
    let (old, new) = (Raw::new("SN-1"), Raw::new("SN-1"));
    let (_world, server) = World::with(&[&old]);
    open(&server, &["SN-1"]);
    let key = ciphertext(&new);
    give(&server, &new, &key).unwrap();
    old.download(server.terminals, 0).unwrap();
    let waiting = https::get(server.https, "/v1/replacements").json;
    assert_eq!(waiting[0]["fingerprint"], json!(wire_fingerprint("SN-1", &key)));
    let word =
        approval("replace-tk", waiting[0]["id"].as_i64().unwrap(), "SN-1", &wire_fingerprint("SN-1", &key));
    assert_eq!(server.approve(&signed(&ESTATE.administrator, &word)).status, 200);
    new.download(server.terminals, 0).unwrap();
}

#[test]
fn what_does_not_open_or_is_anothers_is_not_taken_and_the_window_stays() {
    let terminal = Raw::new("SN-1");
    let world = World::new();
    let server = world.start(&Options::default());
    open(&server, &["SN-1"]);
    assert_eq!(give(&server, &terminal, &[7; 256]), Err(End::Code(0x0002)), "opens to nothing");
    assert_eq!(give(&server, &terminal, &[7; 255]), Err(End::Code(0x0002)), "not as long as the modulus");
    let mut poor = Raw::new("SN-1");
    poor.auk.clone_from(&poor.tek);
    assert_eq!(give(&server, &terminal, &ciphertext(&poor)), Err(End::Code(0x0002)), "TEK = AUK");
    let mut line = asked(&server, &terminal).unwrap();
    line.send(&collected("SN-2", &ciphertext(&terminal), &[]));
    assert_eq!(line.end(), REFUSED, "another device than the one that asked");
    assert!(fingerprints(&world).is_empty());
    assert_eq!(world.events("collection.refused", "SN-1").len(), 2);
    give(&server, &terminal, &ciphertext(&terminal)).unwrap();
}

#[test]
fn refusals_told_inside_a_window_are_kept() {
    let terminal = Raw::new("SN-1");
    let world = World::new();
    let server = world.start(&Options::default());
    open(&server, &["SN-1"]);
    let record = |check: &str| {
        let fields = [
            field(tlv::REFUSAL_CHECK, check.as_bytes()),
            field(tlv::REFUSAL_READING, b"2.1 V"),
            field(tlv::REFUSAL_WHEN, &[0x26, 0x11, 0x20, 0x12, 0x34, 0x56]),
        ];
        field(tlv::REFUSAL, &fields.concat())
    };
    let mut line = asked(&server, &terminal).unwrap();
    line.send(&frame(tlv::ERROR, &[field(tlv::ERROR_CODE, &[0, 8]), record("lid")].concat()));
    assert_eq!(line.end(), End::Closed);
    let mut line = asked(&server, &terminal).unwrap();
    line.send(&collected("SN-1", &ciphertext(&terminal), &record("voltage")));
    line.expect(tlv::DONE).unwrap();
    let kept: String = world
        .sql()
        .query_row("SELECT group_concat(\"check\" || ' ' || source) FROM refusals", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, "lid ERROR,voltage COLLECTED");
}

#[test]
fn a_window_closes() {
    let terminal = Raw::new("SN-1");
    let world = World::new();
    let server = world.start(&Options::default());
    open(&server, &["SN-1"]);
    asked(&server, &terminal).unwrap();
    world
        .sql()
        .execute_batch("DROP TRIGGER windows_are_used_once; UPDATE collection_windows SET expires_at = 1")
        .unwrap();
    assert_eq!(asked(&server, &terminal).err(), Some(REFUSED));
}

#[test]
fn one_person_alone_opens_no_window() {
    let world = World::new();
    let server = world.start(&Options::default());
    let ask = request(&["SN-1"], &in_an_hour());
    let expect = |who: &Person, content: &Value, status, code: &str| {
        let answer = post(&server, who, content);
        assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
    };
    let both_roles = ESTATE.card(Role::Administrator, "Olga Operator", valid());
    expect(&both_roles, &opening(&ESTATE.operator, &ask), 403, "same-person");
    expect(&ESTATE.operator, &opening(&ESTATE.operator, &ask), 403, "card-refused");
    let by_administrator = ESTATE.card(Role::Administrator, "Second Admin", valid());
    expect(&ESTATE.administrator, &opening(&by_administrator, &ask), 403, "card-refused");
    expect(&ESTATE.administrator, &opening(&ESTATE.foreign_operator(), &ask), 403, "card-refused");
    let mut unsigned = opening(&ESTATE.operator, &ask);
    unsigned["request"] = json!(Base64::encode_string(ask.to_string().as_bytes()));
    expect(&ESTATE.administrator, &unsigned, 403, "bad-signature");
    assert_eq!(world.count("collection_windows"), 0);
    let refused: Vec<_> =
        world.audit().into_iter().filter(|event| event.kind == "collection-windows.refused").collect();
    assert!(refused.iter().any(|event| event.detail["code"] == "same-person"));
}

#[test]
fn the_administrator_opens_exactly_what_was_asked_once() {
    let world = World::new();
    let server = world.start(&Options::default());
    let ask = request(&["SN-1"], &in_an_hour());
    let good = opening(&ESTATE.operator, &ask);
    let with = |name: &str, value: Value| {
        let mut content = good.clone();
        content[name] = value;
        content
    };
    for other in [
        with("serials", json!(["SN-1", "SN-2"])),
        with("expires_at", json!(rfc3339(now() + 7200))),
        with("asked_by", json!("CN=Someone Else")),
    ] {
        let answer = post(&server, &ESTATE.administrator, &other);
        assert_eq!((answer.status, answer.code()), (409, "other-request"), "{answer:?}");
    }
    for bad in [
        request(&[], &in_an_hour()),
        request(&["SN-1", "SN-1"], &in_an_hour()),
        request(&["no serial"], &in_an_hour()),
        request(&["SN-1"], &rfc3339(now() - 1)),
        request(&["SN-1"], &rfc3339(now() + 8 * 86_400)),
        request(&["SN-1"], "tomorrow"),
    ] {
        let answer = post(&server, &ESTATE.administrator, &opening(&ESTATE.operator, &bad));
        assert_eq!((answer.status, answer.code()), (422, "bad-content"), "{bad}");
    }
    assert_eq!(world.count("collection_windows"), 0);
    assert_eq!(post(&server, &ESTATE.administrator, &good).status, 200);
    let again = post(&server, &ESTATE.administrator, &good);
    assert_eq!((again.status, again.code()), (409, "received-before"));
    assert_eq!(world.count("collection_windows"), 1);
    let opened = world.audit().into_iter().filter(|event| event.kind == "collection-windows.opened");
    let [opened] = opened.collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(
        (opened.actor, &opened.detail["asked_by"]),
        (ESTATE.administrator.subject(), &good["asked_by"])
    );
    assert_eq!(opened.detail["serials"], json!(["SN-1"]));
}
