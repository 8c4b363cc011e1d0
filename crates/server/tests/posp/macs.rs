//! MACs under a terminal's MAK.

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use crate::{
    setting::{SLOT, Setting},
    support::posp::bytes_of,
};

fn item(data: &[u8]) -> Value {
    json!({ "sn": "SN-1", "slot": SLOT, "data": Base64::encode_string(data) })
}

fn check(data: &[u8], mac: [u8; 8]) -> Value {
    let mut item = item(data);
    item["mac"] = mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
    item
}

#[test]
fn macs_are_the_terminals_own() {
    let mut setting = Setting::new();
    for data in [&b"0"[..], b"8 bytes.", &[0xA5; 1000]] {
        let answer = setting.posp.post("/v1/mac/generate", &item(data));
        assert_eq!((answer.status, bytes_of(&answer.json["mac"])), (200, setting.working.mac(data).to_vec()));
        let right = setting.posp.post("/v1/mac/verify", &check(data, setting.working.mac(data)));
        assert_eq!((right.status, &right.json), (200, &json!({ "ok": true })));
        let mut wrong = setting.working.mac(data);
        wrong[7] ^= 1;
        let wrong = setting.posp.post("/v1/mac/verify", &check(data, wrong));
        assert_eq!((wrong.status, &wrong.json), (200, &json!({ "ok": false })));
    }
    drop(setting.posp);
    setting.server.stop();
    let refused = setting.world.events("posp.refused", "SN-1");
    assert_eq!((&refused[0].detail["reason"], &refused[0].detail["count"]), (&json!("wrong-mac"), &json!(3)));
}

#[test]
fn data_has_its_limits() {
    let mut setting = Setting::new();
    let longest = vec![7; 64 * 1024];
    let answer = setting.posp.post("/v1/mac/generate", &item(&longest));
    assert_eq!((answer.status, bytes_of(&answer.json["mac"])), (200, setting.working.mac(&longest).to_vec()));
    for data in [vec![], vec![7; 64 * 1024 + 1]] {
        let answer = setting.posp.post("/v1/mac/generate", &item(&data));
        assert_eq!((answer.status, answer.code()), (422, "mac-data"), "{}", data.len());
    }
    for text in ["not base64", "AAA", "AA==\n"] {
        let body = json!({ "sn": "SN-1", "slot": SLOT, "data": text });
        assert_eq!(setting.posp.post("/v1/mac/generate", &body).code(), "malformed", "{text:?}");
    }
    for mac in ["", "00", "0011223344556677FF", "001122334455667g"] {
        let mut body = item(b"data");
        body["mac"] = mac.into();
        assert_eq!(setting.posp.post("/v1/mac/verify", &body).code(), "malformed", "{mac:?}");
    }
}

/// A POSP must not be able to make the confirmation of a sign-in, nor the DONE that ends it.
#[test]
fn no_mac_is_made_over_what_a_sign_in_is_confirmed_with() {
    let mut setting = Setting::new();
    let rnd1 = [1, 2, 3, 4, 5, 6, 7, 8];
    let done = [b"DONE", &rnd1[..]].concat();
    let confirm = [b"OK", &rnd1[..], &[0; 6]].concat();
    for data in [done.clone(), confirm] {
        let answer = setting.posp.post("/v1/mac/generate", &item(&data));
        assert_eq!((answer.status, answer.code()), (422, "mac-data"));
    }
    let longer = [&done[..], b"."].concat();
    assert_eq!(setting.posp.post("/v1/mac/generate", &item(&longer)).status, 200);
}
