//! Flow C of `vectors/tdes-suite.json`: its ciphertexts and its token, as the messages carry them.

use std::borrow::ToOwned;

use serde_json::Value;
use wire::{Device, Frame, MessageType, Serial};

use crate::{
    Tdes,
    rks_load::messages::{RksAuth, RksFactor, RksKeys, RksProof, RksToken},
    testing::{hex, vector},
};

/// `tag ‖ 82 ‖ length ‖ value`, as section 1 says for 256 bytes and more.
fn long(kind: u8, tag: u8, value: &Value) -> std::vec::Vec<u8> {
    [&[1, kind, 0xDF, tag, 0x82, 1, 0], hex(value).as_slice()].concat()
}

#[test]
fn worked_ciphertexts_travel_to_the_byte() {
    let flow = vector("flow_c");
    let factor = RksFactor { factor_ciphertext: hex(&flow["factor_ciphertext"]) };
    let frame = factor.write().unwrap();
    assert_eq!(frame.payload(), long(0x13, 0x20, &flow["factor_ciphertext"]));
    assert_eq!(RksFactor::read(&frame), Ok(factor));

    let proof = RksProof { proof_ciphertext: hex(&flow["proof_ciphertext"]) };
    let frame = proof.write().unwrap();
    assert_eq!(frame.payload(), long(0x15, 0x22, &flow["proof_ciphertext"]));
    assert_eq!(RksProof::read(&frame), Ok(proof));
}

#[test]
fn worked_token_travels_to_the_byte() {
    let block = vector("flow_c")["at_tk1_key_block_under_dik2"].as_str().unwrap().to_owned();
    assert_eq!(block.len(), 208);
    let frame = RksToken { at_tk1: block.clone() }.write().unwrap();
    assert_eq!(frame.payload(), [&[1, 0x14, 0xDF, 0x21, 0x81, 208], block.as_bytes()].concat());
    assert_eq!(RksToken::read(&frame).unwrap().at_tk1, block);
}

/// Worked out by hand from sections 1 to 3.
#[test]
fn auth_and_keys_are_as_their_rows_say() {
    let dsn = vector("flow_c")["dsn"].as_str().unwrap().to_owned();
    let auth = RksAuth::<Tdes> {
        suite: wire::Suite::TDES,
        device: Device::built_in(Serial::parse(&dsn).unwrap()),
        slot: wire::Slot::new(3).unwrap(),
        opening: (),
        refusals: [].into(),
    };
    let frame = auth.write().unwrap();
    let expected = [&[1, 0x11, 0xDF, 1, 1, 1, 0xDF, 2, 11][..], dsn.as_bytes(), &[0xDF, 4, 1, 3]].concat();
    assert_eq!(frame.payload(), expected);

    let frame = RksKeys { blocks: ["AB".into(), "C".into()].into(), more: true }.write::<Tdes>().unwrap();
    let expected = [
        &[1, 0x16, 0xFF, 0x21, 5, 0xDF, 0x40, 2, b'A', b'B'][..],
        &[0xFF, 0x21, 4, 0xDF, 0x40, 1, b'C', 0xDF, 0x24, 1, 1],
    ]
    .concat();
    assert_eq!(frame.payload(), expected);
    assert_eq!(Frame::from_payload(&expected).unwrap().kind(), Ok(MessageType::RksKeys));
}
