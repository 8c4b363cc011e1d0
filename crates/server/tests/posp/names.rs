//! Serial, terminal id and merchant id: each leads to the others.

use pinblock::Format;
use serde_json::json;

use crate::{
    setting::{PAN, SLOT, Setting},
    support::{posp::item, raw::Raw},
};

#[test]
fn terminals_are_named_and_looked_up_either_way() {
    let mut setting = Setting::new();
    setting.server.collect(&[&Raw::new("SN-2"), &Raw::new("SN-3")]);
    let names = json!({ "items": [
        { "sn": "SN-1", "terminal_id": "T0000001", "merchant_id": "M 1/ä" },
        { "sn": "SN-2", "terminal_id": "T0000002", "merchant_id": "M 1/ä" },
        { "sn": "SN-9", "terminal_id": "T0000009" },
        { "sn": "SN-3", "terminal_id": "T0000001" },
        { "sn": "SN-3", "terminal_id": "" },
        { "sn": "no serial", "terminal_id": "T0000004" },
    ]});
    let answer = setting.posp.post("/v1/terminals", &names);
    let codes: Vec<_> =
        answer.json["results"].as_array().unwrap().iter().map(|one| one["code"].clone()).collect();
    let taken = json!("terminal-id-taken");
    let (unknown, malformed) = (json!("unknown-terminal"), json!("malformed"));
    assert_eq!(codes, [json!(null), json!(null), unknown, taken, malformed.clone(), malformed]);

    let first = json!({ "sn": "SN-1", "terminal_id": "T0000001", "merchant_id": "M 1/ä" });
    let second = json!({ "sn": "SN-2", "terminal_id": "T0000002", "merchant_id": "M 1/ä" });
    for (query, found) in [
        ("sn=SN-1", json!([first])),
        ("terminal_id=T0000002", json!([second])),
        ("merchant_id=M%201%2F%C3%A4", json!([first, second])),
        ("merchant_id=M%201%2F%C3%A4&after=SN-1", json!([second])),
        ("sn=SN-3", json!([])),
        ("terminal_id=nobody", json!([])),
        ("merchant_id=nobody", json!([])),
    ] {
        let answer = setting.posp.get(&format!("/v1/terminals?{query}"));
        assert_eq!((answer.status, &answer.json["terminals"]), (200, &found), "{query}");
    }
    for query in ["", "sn=SN-1&terminal_id=T", "sn=SN-1&after=SN-0", "other=1", "sn=SN-1&sn=SN-2"] {
        let answer = setting.posp.get(&format!("/v1/terminals?{query}"));
        assert_eq!((answer.status, answer.code()), (400, "malformed"), "{query}");
    }
    assert_eq!(setting.world.events("identities.mapped", "identities")[0].actor, "posp-1");
}

#[test]
fn a_terminal_id_stands_in_place_of_the_serial() {
    let mut setting = Setting::new();
    let name = |id: &str| json!({ "items": [{ "sn": "SN-1", "terminal_id": id }] });
    assert_eq!(setting.posp.post("/v1/terminals", &name("T0000001")).status, 200);
    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    let mut one = item("SN-1", SLOT, PAN, (0, 0), &block, "issuer-1");
    one.as_object_mut().unwrap().remove("sn");
    one["terminal_id"] = "T0000001".into();
    for _ in 0..2 {
        assert_eq!(setting.posp.post("/v1/pin/translate", &one).status, 200);
    }
    // A name that was given to another takes effect at once.
    assert_eq!(setting.posp.post("/v1/terminals", &name("T0000002")).status, 200);
    let answer = setting.posp.post("/v1/pin/translate", &one);
    assert_eq!((answer.status, answer.code()), (404, "unknown-terminal"));
    let mac = json!({ "terminal_id": "T0000002", "slot": SLOT, "data": "AAAA" });
    assert_eq!(setting.posp.post("/v1/mac/generate", &mac).status, 200);
}
