//! Flow A of `vectors/tdes-suite.json`, which is the project's own file, written with 2-wire.md.

use std::{string::ToString, vec::Vec};

use serde_json::Value;
use wire::{Frame, Kcv, Slot};

use super::fake::device;
use crate::{
    Loaded, Tdes, Transcript,
    tmk_download::{
        DownloadPad, PadRefusal,
        kms::{Confirm, ExpectHello},
        messages::{Rnd1, TkKey, TkReply},
        terminal::Start,
    },
};

fn flow_a() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/tdes-suite.json");
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    all["flow_a"].clone()
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn hex8(value: &Value) -> [u8; 8] {
    hex(value).try_into().unwrap()
}

fn kcv(flow: &Value) -> Kcv {
    flow["tmk_kcv"].as_str().unwrap().parse().unwrap()
}

/// A PIN pad that has the worked answers, and hashes the frames that it is shown.
struct Recorded {
    flow: Value,
    seen: Transcript,
}

impl DownloadPad for Recorded {
    fn start(&mut self, _: Slot) -> Result<Rnd1, PadRefusal> {
        Ok(Rnd1(hex8(&self.flow["rnd1"])))
    }

    fn challenge(&mut self, hello: &Frame, challenge: &Frame) -> Result<TkReply, PadRefusal> {
        assert_eq!(hello.payload(), hex(&self.flow["hello"]));
        assert_eq!(challenge.payload(), hex(&self.flow["challenge"]));
        self.seen.push(hello);
        self.seen.push(challenge);
        Ok(TkReply { crnd2: hex8(&self.flow["crnd2"]) })
    }

    fn key(&mut self, reply: &Frame, key: &Frame) -> Result<Loaded, PadRefusal> {
        self.seen.push(reply);
        assert_eq!(self.seen.context().to_hex(), self.flow["context"]);
        assert_eq!(TkKey::read::<Tdes>(key).unwrap().block, self.flow["tmk_key_block_under_tek"]);
        Ok(Loaded::of([kcv(&self.flow)].into()))
    }

    fn done(&mut self, _: &Frame, _: &Frame) -> Result<(), PadRefusal> {
        Ok(())
    }
}

#[test]
fn both_roles_say_the_worked_bytes() {
    let flow = flow_a();
    let mut pad = Recorded { flow: flow.clone(), seen: Transcript::new() };

    let (hello, terminal) = Start::new(device(), Slot::new(3).unwrap()).begin(&mut pad).unwrap();
    assert_eq!(hello.payload(), hex(&flow["hello"]));
    let server = ExpectHello::new().on_frame(&hello).unwrap();
    assert_eq!(server.rnd1(), hex8(&flow["rnd1"]));

    let (challenge, server) = server.challenge(hex8(&flow["crnd1"]), hex8(&flow["rnd2"])).unwrap();
    assert_eq!(challenge.payload(), hex(&flow["challenge"]));

    let (reply, terminal) = terminal.on_frame(&mut pad, &challenge).unwrap();
    assert_eq!(reply.payload(), hex(&flow["reply"]));
    let server = server.on_frame(&reply).unwrap();
    assert_eq!(server.crnd2(), hex8(&flow["crnd2"]));
    assert_eq!(server.context().to_string(), flow["context"]);
    assert_eq!(server.context().as_bytes(), hex(&flow["context"]).as_slice());

    let block = flow["tmk_key_block_under_tek"].as_str().unwrap();
    let (key, server) = server.deliver(block, kcv(&flow)).unwrap();
    let (confirm, terminal) = terminal.on_frame(&mut pad, &key).unwrap();
    // Worked out by hand from section 3: KEY_CONFIRM is FF21 { DF0B }.
    assert_eq!(confirm.payload(), [1, 5, 0xFF, 0x21, 6, 0xDF, 0x0B, 3, 0x74, 0x2B, 0xB1]);
    let Confirm::Opened(confirmed) = server.on_frame(&confirm).unwrap().compare() else {
        panic!("check value is right")
    };
    let done = confirmed.done().unwrap();
    assert_eq!(done.bytes(), [0, 2, 1, 6]);
    assert_eq!(terminal.on_frame(&mut pad, &done).unwrap().kcv(), kcv(&flow));
}
