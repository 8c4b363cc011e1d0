//! PINs and MACs under working keys of suite 02: PIN blocks of format 4, CMACs of 16 bytes.

use base64ct::{Base64, Encoding};
use pinblock::{Format, Format4Key, Pan, Pin, decode_format4};
use serde_json::{Value, json};

use crate::{
    setting::{PAN, SLOT},
    support::{
        line::connect,
        posp::{POSP, Posp, RawZone, aes_zone, bytes_of, item},
        rks_ec::{EcDevice, with},
        sign_in_ec::EcWorking,
        world::{Options, Server, World},
    },
};

fn signed_in() -> (World, Server, EcWorking, Posp) {
    let device = EcDevice::new("SN-1");
    let options = Options { rks: Some((vec![SLOT], false, 8)), more: POSP.into(), ..Options::default() };
    let (world, server) = with(&[&device], &options);
    let tmk = device.load_on(&mut connect(server.terminals), SLOT).unwrap().received.remove(0);
    let working = device.sign_in(&mut connect(server.terminals), &tmk).unwrap();
    let posp = Posp::connect(&server);
    (world, server, working, posp)
}

#[test]
fn a_pin_of_format_4_goes_to_an_aes_zone_and_to_a_tdes_zone() {
    let (_world, server, working, mut posp) = signed_in();
    let key = aes_zone(&server, "zone-aes");
    let zone = RawZone::import(&server, "zone-tdes");
    let block = working.pin_block("4321", PAN);
    let translated = posp.post("/v1/pin/translate", &item("SN-1", SLOT, PAN, (4, 4), &block, "zone-aes"));
    assert_eq!(translated.status, 200, "{translated:?}");
    let out: [u8; 16] = bytes_of(&translated.json["pin_block"]).try_into().unwrap();
    let pin = decode_format4(&out, &Pan::new(PAN).unwrap(), &Format4Key::new(&key).unwrap()).unwrap();
    assert!(pin.matches(&Pin::new("4321").unwrap()));
    for to in [0, 3] {
        let translated =
            posp.post("/v1/pin/translate", &item("SN-1", SLOT, PAN, (4, to), &block, "zone-tdes"));
        assert_eq!(translated.status, 200, "{translated:?}");
        let out: [u8; 8] = bytes_of(&translated.json["pin_block"]).try_into().unwrap();
        let clear = paycrypto::TdesKey::from_bytes(&zone.key).unwrap().decrypt_block(out);
        let format = Format::from_number(to).unwrap();
        let pin = pinblock::decode(format, &clear, Some(&Pan::new(PAN).unwrap())).unwrap();
        assert!(pin.matches(&Pin::new("4321").unwrap()));
    }
}

#[test]
fn what_does_not_fit_the_key_or_the_pan_is_refused() {
    let (_world, server, working, mut posp) = signed_in();
    aes_zone(&server, "zone-aes");
    let block = working.pin_block("4321", PAN);
    let mut changed = block;
    changed[3] ^= 1;
    type Case<'a> = (&'a str, (u8, u8), &'a [u8], &'a str);
    let cases: [Case<'_>; 4] = [
        ("a TDES format under an AES key", (0, 4), &block[..8], "format-not-allowed"),
        ("a block of half the length", (4, 4), &block[..8], "pin-block"),
        ("a changed block", (4, 4), &changed, "pin-block"),
        ("a TDES format for an AES zone", (4, 0), &block, "format-not-allowed"),
    ];
    for (what, formats, block, code) in cases {
        let answer = posp.post("/v1/pin/translate", &item("SN-1", SLOT, PAN, formats, block, "zone-aes"));
        assert_eq!((answer.status, answer.code()), (422, code), "{what}");
    }
    let other_pan = item("SN-1", SLOT, "4012345678917", (4, 4), &block, "zone-aes");
    assert_eq!(posp.post("/v1/pin/translate", &other_pan).code(), "pin-block");
}

#[test]
fn macs_of_16_bytes_are_made_and_checked() {
    let (_world, _server, working, mut posp) = signed_in();
    let body = |data: &[u8], mac: Option<&[u8]>| {
        let mut body: Value = json!({ "sn": "SN-1", "slot": SLOT, "data": Base64::encode_string(data) });
        if let Some(mac) = mac {
            body["mac"] = crate::support::rks::hex(mac).into();
        }
        body
    };
    for data in [&b"0"[..], b"a whole block...", &[0xA5; 1000]] {
        let made = posp.post("/v1/mac/generate", &body(data, None));
        assert_eq!((made.status, bytes_of(&made.json["mac"])), (200, working.mac(data).to_vec()));
        let mac = working.mac(data);
        let check = |posp: &mut Posp, mac: &[u8]| {
            posp.post("/v1/mac/verify", &body(data, Some(mac))).json["ok"].clone()
        };
        assert_eq!(check(&mut posp, &mac), json!(true));
        assert_eq!(check(&mut posp, &mac[..8]), json!(false), "a part of it is none");
        assert_eq!(check(&mut posp, &[7; 16]), json!(false));
    }
    // Nothing that a sign-in is confirmed with, nor its DONE.
    let nonce = [7; 32];
    for data in [[b"DONE", &nonce[..]].concat(), [b"OK", &nonce[..], &[0; 10]].concat()] {
        let answer = posp.post("/v1/mac/generate", &body(&data, None));
        assert_eq!((answer.status, answer.code()), (422, "mac-data"));
    }
}
