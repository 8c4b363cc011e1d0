//! Flow B of `vectors/tdes-suite.json`, to the byte.

use std::vec::Vec;

use serde_json::Value;
use wire::{Device, Frame, Kcv, Suite};

use super::fake::device;
use crate::{
    Chain, Loaded, PadRefusal, Tdes, Transcript,
    local_load::{
        LoadPad,
        kld::{Confirm, Start},
        messages::{KldConnect, Randoms, SignedFields},
        terminal::Connect,
    },
    testing::{hex, vector},
};

/// Check value of the worked TMK, which flow A's and flow B's is (`tmk_kcv` of flow A).
const KCV: Kcv = Kcv::Tdes([0x74, 0x2B, 0xB1]);

/// A PIN pad that has the worked answers, and hashes the frames that it is shown.
struct Recorded {
    flow: Value,
    seen: Transcript,
}

impl LoadPad for Recorded {
    type Key = ();

    fn accept(&mut self, (): &(), connect: &Frame, _: &Device) -> Result<Randoms, PadRefusal> {
        assert_eq!(connect.payload(), hex(&self.flow["connect"]));
        self.seen.push(connect);
        Ok(Randoms { c_rnd1_rnd2: hex(&self.flow["c_rnd1_rnd2"]) })
    }

    fn load(&mut self, accept: &Frame, _key: &Frame) -> Result<Loaded, PadRefusal> {
        assert_eq!(accept.payload(), hex(&self.flow["accept"]));
        self.seen.push(accept);
        assert_eq!(self.seen.context().to_hex(), self.flow["context"]);
        Ok(Loaded::of([KCV].into()))
    }

    fn loaded(&mut self, _: &Frame, _: &Frame) -> Result<(), PadRefusal> {
        Ok(())
    }
}

#[test]
fn both_roles_say_the_worked_bytes() {
    let flow = vector("flow_b");
    let mut pad = Recorded { flow: flow.clone(), seen: Transcript::new() };

    let (connect, kld) = Start::new(b"DOWNLOADER-CERTIFICATE-DER".to_vec(), Vec::new()).begin().unwrap();
    assert_eq!(connect.payload(), hex(&flow["connect"]));
    let (accept, terminal) = Connect::read(&connect).unwrap().accept(&mut pad, &device(), &()).unwrap();
    assert_eq!(accept.payload(), hex(&flow["accept"]));
    let accepted = kld.on_frame(&accept).unwrap();
    assert_eq!(accepted.c_rnd1_rnd2(), hex(&flow["c_rnd1_rnd2"]));
    assert_eq!(accepted.context().to_hex(), flow["context"]);

    let c_ctmk_rnd2 = hex(&flow["c_ctmk_rnd2"]);
    let (key, kld) = accepted.deliver(&c_ctmk_rnd2, KCV).unwrap();
    // Worked out by hand from sections 1 and 3: KLD_KEY is DF11 with 256 bytes.
    assert_eq!(key.payload(), [&[1, 0x23, 0xDF, 0x11, 0x82, 1, 0], c_ctmk_rnd2.as_slice()].concat());
    let (confirm, terminal) = terminal.on_frame(&mut pad, &key).unwrap();
    assert_eq!(confirm.payload(), [1, 5, 0xFF, 0x21, 6, 0xDF, 0x0B, 3, 0x74, 0x2B, 0xB1]);
    let Confirm::Opened(confirmed) = kld.on_frame(&confirm).unwrap().compare() else {
        panic!("check value is right")
    };
    let done = confirmed.done().unwrap();
    assert_eq!(done.bytes(), [0, 2, 1, 6]);
    assert_eq!(terminal.on_frame(&mut pad, &done).unwrap().kcv(), KCV);
}

#[test]
fn worked_signed_fields_are_read_and_written_to_the_byte() {
    let flow = vector("flow_b");
    for (row, usage, has_factor) in [(&flow, "K1", false), (&flow["with_dik2"], "12", true)] {
        let bytes = hex(&row["signed_fields"]);
        let signed = SignedFields::read(&bytes).unwrap();
        assert_eq!(signed.rnd2.as_slice(), hex(&flow["rnd2"]));
        assert_eq!(signed.usage(), Some(usage));
        assert!(signed.block.contains(row["place"].as_str().unwrap()));
        assert!(signed.block.contains(flow["context"].as_str().unwrap()));
        assert_eq!(signed.factor, has_factor.then(|| hex(&row["factor"])));
        assert_eq!(signed.encode().unwrap(), bytes);
    }
}

#[test]
fn worked_connect_is_read() {
    let connect = Frame::from_payload(&hex(&vector("flow_b")["connect"])).unwrap();
    let chain = Chain { leaf: b"DOWNLOADER-CERTIFICATE-DER".to_vec(), intermediates: Vec::new() };
    assert_eq!(KldConnect::<Tdes>::read(&connect), Ok(KldConnect { suite: Suite::TDES, chain, opening: () }));
}
