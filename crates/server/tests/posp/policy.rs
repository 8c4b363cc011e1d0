//! How long and how often a working key is used.

use pinblock::Format;
use serde_json::json;

use crate::{
    setting::{PAN, SLOT, Setting},
    support::{
        line::connect,
        posp::{Posp, item},
    },
};

const PATH: &str = "/v1/pin/translate";
const ZONE: &str = "issuer-1";

#[test]
fn r20_a_key_that_was_used_as_often_as_it_may_be_needs_a_new_sign_in() {
    let mut setting = Setting::with("[host]\nmax_uses = 3\n");
    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    let one = item("SN-1", SLOT, PAN, (0, 0), &block, ZONE);
    let batch = json!({ "items": vec![&one; 5] });
    let answer = setting.posp.post("/v1/pin/translate/batch", &batch);
    let codes: Vec<_> = answer.json["results"].as_array().unwrap().iter().map(|one| &one["code"]).collect();
    let expired = json!("working-key-expired");
    assert_eq!(codes, [&json!(null), &json!(null), &json!(null), &expired, &expired]);
    let answer = setting.posp.post(PATH, &one);
    assert_eq!((answer.status, answer.code()), (409, "working-key-expired"));
    // Each key has uses of its own: MACs are made still.
    let mac = json!({ "sn": "SN-1", "slot": SLOT, "data": "AAAA" });
    assert_eq!(setting.posp.post("/v1/mac/generate", &mac).status, 200);

    let tmk = setting.terminal.download(setting.server.terminals, SLOT).unwrap();
    let new = setting.terminal.sign_in(&mut connect(setting.server.terminals), SLOT, &tmk).unwrap();
    let block = new.pin_block(Format::Iso0, "1234", PAN);
    let answer = setting.posp.post(PATH, &item("SN-1", SLOT, PAN, (0, 0), &block, ZONE));
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn r20_uses_are_remembered_over_a_restart() {
    let setting = Setting::with("[host]\nmax_uses = 2\n");
    let Setting { world, server, working, mut posp, .. } = setting;
    let block = working.pin_block(Format::Iso0, "1234", PAN);
    let one = item("SN-1", SLOT, PAN, (0, 0), &block, ZONE);
    assert_eq!(posp.post(PATH, &one).status, 200);
    drop(posp);
    server.stop();
    let more = format!("{}[host]\nmax_uses = 2\n", crate::support::posp::POSP);
    let server = world.start(&crate::support::world::Options { more, ..Default::default() });
    let mut posp = Posp::connect(&server);
    assert_eq!(posp.post(PATH, &one).status, 200);
    assert_eq!(posp.post(PATH, &one).code(), "working-key-expired");
}

#[test]
fn r20_a_key_that_is_too_old_needs_a_new_sign_in() {
    let mut setting = Setting::with("[host]\nmax_age_hours = 1\n");
    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    let one = item("SN-1", SLOT, PAN, (0, 0), &block, ZONE);
    assert_eq!(setting.posp.post(PATH, &one).status, 200);
    // The clock is not turned forward but the key's beginning back.
    let back = "UPDATE working_keys SET changed_at = changed_at - 3600000";
    assert!(setting.world.sql().execute(back, []).unwrap() > 0);
    let answer = setting.posp.post(PATH, &one);
    assert_eq!((answer.status, answer.code()), (409, "working-key-expired"));
    let mac = json!({ "sn": "SN-1", "slot": SLOT, "data": "AAAA" });
    assert_eq!(setting.posp.post("/v1/mac/generate", &mac).code(), "working-key-expired");
}

/// Decided in 2-wire.md section 4, flow F: old keys serve until SIGN_IN_CONFIRM.
#[test]
fn pins_under_the_old_key_are_translated_until_the_new_one_is_confirmed() {
    let mut setting = Setting::new();
    let tmk = setting.terminal.download(setting.server.terminals, SLOT).unwrap();
    let mut line = connect(setting.server.terminals);
    let new = setting.terminal.ask_working(&mut line, SLOT, &tmk).unwrap();
    let old_block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    let new_block = new.pin_block(Format::Iso0, "1234", PAN);
    let mut ask =
        |block: &[u8]| setting.posp.post(PATH, &item("SN-1", SLOT, PAN, (0, 0), block, ZONE)).status;
    assert_eq!((ask(&old_block), ask(&new_block)), (200, 422));
    line.send(&new.confirm());
    line.expect(crate::support::tlv::DONE).unwrap();
    assert_eq!((ask(&old_block), ask(&new_block)), (422, 200));
}
