//! Flow F of `vectors/tdes-suite.json`, as the messages carry it.

use std::{borrow::ToOwned, vec::Vec};

use wire::{Frame, Kcv};

use super::fake::{device, slot};
use crate::{
    Tdes, Transcript,
    sign_in::messages::{Mac, Rnd1, SignIn, SignInConfirm, SignedIn, WorkingKeys},
    testing::{hex, vector},
};

#[test]
fn worked_sign_in_is_written_to_the_byte() {
    let flow = vector("flow_f");
    let message = SignIn::<Tdes> {
        suite: wire::Suite::TDES,
        device: device(),
        slot: slot(),
        fresh: Rnd1(hex(&flow["rnd1"]).try_into().unwrap()),
        kcv: Kcv::Tdes([0x74, 0x2B, 0xB1]),
    };
    let frame = Frame::from_payload(&hex(&flow["sign_in"])).unwrap();
    assert_eq!(message.write().unwrap(), frame);
    assert_eq!(<SignIn>::read(&frame), Ok(message));
}

#[test]
fn worked_sign_in_gives_the_contexts_of_pik_and_mak() {
    let flow = vector("flow_f");
    let mut transcript = Transcript::new();
    transcript.push(&Frame::from_payload(&hex(&flow["sign_in"])).unwrap());
    assert_eq!(transcript.context().to_hex(), flow["context"].as_str().unwrap());
    let pik = flow["pik_key_block_under_tmk"].as_str().unwrap();
    assert_eq!(transcript.context_after(&[pik]).to_hex(), flow["context_of_mak"].as_str().unwrap());
}

/// The row of WORKING_KEYS, worked out by hand around the worked blocks.
#[test]
fn worked_blocks_travel_to_the_byte() {
    let flow = vector("flow_f");
    let blocks = ["pik_key_block_under_tmk", "mak_key_block_under_tmk"];
    let blocks: Vec<_> = blocks.iter().map(|name| flow[name].as_str().unwrap().to_owned()).collect();
    let frame = WorkingKeys { blocks: blocks.clone() }.write::<Tdes>().unwrap();
    let entry = |block: &str| [&[0xFF, 0x21, 0x81, 156, 0xDF, 0x40, 0x81, 152], block.as_bytes()].concat();
    assert_eq!(frame.payload(), [vec_of(&[1, 0x42]), entry(&blocks[0]), entry(&blocks[1])].concat());
    assert_eq!(WorkingKeys::read::<Tdes>(&frame).unwrap().blocks, blocks);
}

#[test]
fn worked_macs_travel_to_the_byte() {
    let flow = vector("flow_f");
    let [confirm, done] = ["confirm_mac", "done_mac"].map(|name| hex(&flow[name]));
    let frame = SignInConfirm::<Tdes> { mac: Mac(confirm.clone().try_into().unwrap()) }.write().unwrap();
    assert_eq!(frame.payload(), [vec_of(&[1, 0x43, 0xDF, 0x52, 8]), confirm].concat());
    let frame = SignedIn::<Tdes> { mac: Mac(done.clone().try_into().unwrap()) }.write().unwrap();
    assert_eq!(frame.payload(), [vec_of(&[1, 0x06, 0xDF, 0x52, 8]), done].concat());
}

fn vec_of(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}
