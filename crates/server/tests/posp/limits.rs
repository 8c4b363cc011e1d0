//! Bounds of what a client may ask.

use std::thread;

use pinblock::Format;
use serde_json::json;

use crate::{
    setting::{PAN, SLOT, Setting},
    support::{
        estate::ESTATE,
        posp::{Posp, item},
    },
};

#[test]
fn a_body_has_its_limit_and_its_media_type() {
    let mut setting = Setting::with("");
    let long = vec![b' '; (2 << 20) + 1];
    let answer = setting.posp.call("POST", "/v1/pin/translate", &long);
    assert_eq!((answer.status, answer.code()), (413, "too-large"));
    let mut posp = Posp::connect(&setting.server);
    let answer = posp.try_call("POST", "/v1/pin/translate", "text/plain", b"{}").unwrap();
    assert_eq!((answer.status, answer.code()), (415, "wrong-media-type"));
    let answer = posp.get("/v1/pin/translate");
    assert_eq!(answer.status, 405);
    let answer = posp.get("/v1/nothing");
    assert_eq!((answer.status, answer.code()), (404, "no-such-route"));
}

#[test]
fn a_connection_serves_many_requests_and_the_description() {
    let mut setting = Setting::new();
    let description = setting.posp.get("/v1/openapi.json");
    assert_eq!(description.status, 200);
    assert!(description.json["paths"]["/v1/pin/translate/batch"]["post"].is_object());
    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    for _ in 0..100 {
        let one = item("SN-1", SLOT, PAN, (0, 0), &block, "issuer-1");
        assert_eq!(setting.posp.post("/v1/pin/translate", &one).status, 200);
    }
}

/// A client that asks for more at once than it may is slowed, and each of its requests answered.
#[test]
fn r40_requests_of_a_client_wait_for_their_places() {
    // Still in the section [posp].
    let setting = Setting::with("max_requests_per_client = 1\n");
    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    let one = item("SN-1", SLOT, PAN, (0, 0), &block, "issuer-1");
    let batch = json!({ "items": vec![&one; 64] }).to_string();
    let address = setting.server.posp.unwrap();
    let statuses: Vec<u16> = thread::scope(|scope| {
        let ask = || {
            let mut posp = Posp::connect_as(address, Some(&ESTATE.posp("posp-1"))).unwrap();
            let mut status = || posp.call("POST", "/v1/pin/translate/batch", batch.as_bytes()).status;
            (0..5).map(|_| status()).collect::<Vec<_>>()
        };
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(statuses, [200; 20]);
}
