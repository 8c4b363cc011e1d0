//! A PIN block that is tried with one PAN after the other: formats 0 and 3 tell, by which of them fit, something of the
//! PIN, so a PIK has only so many wrong blocks. And every refusal of a POSP is counted for the audit.

use pinblock::Format;
use serde_json::{Value, json};

use crate::{
    setting::{PAN, SLOT, Setting, signed_in},
    support::{
        line::connect,
        posp::{POSP, Posp, item},
        raw::Raw,
        world::Options,
    },
};

const PATH: &str = "/v1/pin/translate";
const BATCH: &str = "/v1/pin/translate/batch";
const ZONE: &str = "issuer-1";
const THREE: &str = "[host]\nmax_wrong_pin_blocks = 3\n";

/// Another card than the block is of: the filling does not fit.
const OTHER: &str = "5555555555554444";

fn codes(answer: &Value) -> Vec<&str> {
    let results = answer["results"].as_array().unwrap().iter();
    results.map(|one| one["code"].as_str().unwrap_or("ok")).collect()
}

#[test]
fn r40_a_pik_with_too_many_wrong_blocks_is_stopped_for_right_ones_too() {
    let mut setting = Setting::with(THREE);
    let other = Raw::new("SN-2");
    setting.server.collect(&[&other]);
    let others = signed_in(&setting.server, &other);
    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    let right = item("SN-1", SLOT, PAN, (0, 0), &block, ZONE);
    let wrong = item("SN-1", SLOT, OTHER, (0, 0), &block, ZONE);
    let block = others.pin_block(Format::Iso0, "1234", PAN);
    let of_other = item("SN-2", SLOT, PAN, (0, 0), &block, ZONE);
    // Within one batch too, and no answer past the limit is told, be it good or bad.
    let items = json!({ "items": [right, wrong, right, wrong, wrong, right, wrong, of_other] });
    let answer = setting.posp.post(BATCH, &items);
    let expired = "working-key-expired";
    assert_eq!(
        codes(&answer.json),
        ["ok", "pin-block", "ok", "pin-block", "pin-block", expired, expired, "ok"]
    );
    let answer = setting.posp.post(PATH, &right);
    assert_eq!((answer.status, answer.code()), (409, "no-working-key"), "gone, on all servers");
    assert_eq!(setting.posp.post(PATH, &of_other).status, 200);
    let mac = json!({ "sn": "SN-1", "slot": SLOT, "data": "AAAA" });
    assert_eq!(setting.posp.post("/v1/mac/generate", &mac).status, 200, "MACs say nothing of PINs");
    let alarms = setting.world.events("alarm.wrong-pin-blocks", "SN-1");
    assert_eq!(alarms.len(), 1);
    assert_eq!((&alarms[0].detail["wrong_blocks"], &alarms[0].detail["slot"]), (&json!(3), &json!(SLOT)));

    // What was captured under the old key is of no use under the new one.
    let tmk = setting.terminal.download(setting.server.terminals, SLOT).unwrap();
    let new = setting.terminal.sign_in(&mut connect(setting.server.terminals), SLOT, &tmk).unwrap();
    assert_eq!(setting.posp.post(PATH, &right).code(), "pin-block");
    let block = new.pin_block(Format::Iso0, "1234", PAN);
    assert_eq!(setting.posp.post(PATH, &item("SN-1", SLOT, PAN, (0, 0), &block, ZONE)).status, 200);
    setting.world.assert_audit_good();
}

#[test]
fn a_stopped_pik_stays_stopped_over_a_restart() {
    let setting = Setting::with(THREE);
    let Setting { world, server, working, mut posp, .. } = setting;
    let block = working.pin_block(Format::Iso0, "1234", PAN);
    let wrong = item("SN-1", SLOT, OTHER, (0, 0), &block, ZONE);
    for _ in 0..3 {
        assert_eq!(posp.post(PATH, &wrong).code(), "pin-block");
    }
    drop(posp);
    server.stop();
    let more = format!("{POSP}{THREE}");
    let server = world.start(&Options { more, ..Options::default() });
    let right = item("SN-1", SLOT, PAN, (0, 0), &block, ZONE);
    assert_eq!(Posp::connect(&server).post(PATH, &right).code(), "no-working-key");
}

#[test]
fn by_default_there_is_a_limit_and_0_sets_none() {
    for (more, last) in [("", "no-working-key"), ("[host]\nmax_wrong_pin_blocks = 0\n", "ok")] {
        let mut setting = Setting::with(more);
        let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
        let wrong = item("SN-1", SLOT, OTHER, (0, 0), &block, ZONE);
        let answer = setting.posp.post(BATCH, &json!({ "items": vec![wrong; 100] }));
        let told = codes(&answer.json).iter().filter(|code| **code == "pin-block").count();
        assert_eq!(told, if more.is_empty() { 10 } else { 100 });
        let right = item("SN-1", SLOT, PAN, (0, 0), &block, ZONE);
        let answer = setting.posp.post(BATCH, &json!({ "items": [right] }));
        assert_eq!(codes(&answer.json), [last]);
    }
}

/// No event, no act: a stop that cannot be written tells nothing of the blocks that led to it, and is tried again.
#[test]
fn what_cannot_be_stopped_is_not_told() {
    let mut setting = Setting::with(THREE);
    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    let wrong = item("SN-1", SLOT, OTHER, (0, 0), &block, ZONE);
    let right = item("SN-1", SLOT, PAN, (0, 0), &block, ZONE);
    let sql = setting.world.sql();
    sql.execute_batch(
        "CREATE TRIGGER full BEFORE INSERT ON audit WHEN NEW.kind LIKE 'alarm%' BEGIN SELECT RAISE(ABORT, 'full'); END",
    )
    .unwrap();
    for request in [json!({ "items": vec![&wrong; 4] }), json!({ "items": [&right] })] {
        let answer = setting.posp.post(BATCH, &request);
        assert_eq!((answer.status, answer.code()), (500, "internal"));
    }
    sql.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(setting.posp.post(PATH, &right).code(), "working-key-expired");
    assert_eq!(setting.posp.post(PATH, &right).code(), "no-working-key");
    assert_eq!(setting.world.events("alarm.wrong-pin-blocks", "SN-1").len(), 1);
}

/// Nothing that a POSP named a terminal by is repeated where no terminal was found: it may be a card number.
#[test]
fn every_refusal_is_counted_under_the_terminals_serial_or_none() {
    let mut setting = Setting::with("");
    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    let one = |sn: &str, pair, zone| item(sn, SLOT, PAN, pair, &block, zone);
    let pins = json!({ "items": [
        one("SN-1", (0, 0), "nowhere"), one("SN-1", (0, 9), ZONE), one("SN-1", (0, 1), ZONE), one(PAN, (0, 0), ZONE),
        { "terminal_id": PAN, "slot": SLOT, "pan": PAN, "from": 0, "to": 0, "pin_block": "00", "zone": ZONE },
    ] });
    setting.posp.post(BATCH, &pins);
    let macs = json!({ "items": [
        { "sn": "SN-1", "slot": SLOT, "data": "" }, { "terminal_id": PAN, "slot": SLOT, "data": "AAAA" },
    ] });
    setting.posp.post("/v1/mac/generate/batch", &macs);
    setting.posp.post(
        "/v1/working-keys/confirm",
        &json!({ "sn": "SN-1", "slot": 7,
        "sign_in_confirm": "0143DF52080000000000000000" }),
    );
    // What is no request at all is the client's own.
    setting.posp.post(PATH, &json!({ "items": [] }));
    setting.posp.call("POST", "/v1/working-keys", b"{\"sign_in\":\"00\"}");
    setting.posp.get("/nowhere");
    drop(setting.posp);
    setting.server.stop();
    let counted = |subject: &str| {
        let mut counted: Vec<_> = setting
            .world
            .events("posp.refused", subject)
            .iter()
            .map(|event| {
                (event.detail["reason"].as_str().unwrap().to_owned(), event.detail["count"].as_u64())
            })
            .collect();
        counted.sort_unstable();
        counted
    };
    let expected = |list: &[(&str, u64)]| -> Vec<_> {
        list.iter().map(|(reason, count)| ((*reason).to_owned(), Some(*count))).collect()
    };
    assert_eq!(
        counted("SN-1"),
        expected(&[("format-not-allowed", 2), ("mac-data", 1), ("no-sign-in", 1), ("unknown-zone", 1)])
    );
    assert_eq!(
        counted("(not found)"),
        expected(&[("no-working-key", 1), ("pin-block", 1), ("unknown-terminal", 1)])
    );
    assert_eq!(counted("posp-1"), expected(&[("HTTP 400", 2), ("HTTP 404", 1), ("HTTP 409", 1)]));
    assert!(setting.world.events("posp.refused", PAN).is_empty());
}
