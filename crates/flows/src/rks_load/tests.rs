//! Both roles in memory, step by step. The cryptography is a toy (`fake`): the real one is tested where it lives.

mod attacks;
mod codes;
mod ec_aes;
mod fake;
mod fields;
mod forgetting;
mod order;
mod vectors;

use std::vec;

use fake::{Pad, RKS_KEY, Rks, device, kcv, slot, until_proof};
use wire::Suite;

use super::{device::Start, rks::Confirm, rks::ExpectAuth};
use crate::testing::der;

#[test]
fn device_gets_the_keys_that_the_rks_holds() {
    let (mut pad, mut rks) = (Pad::default(), Rks::new());
    let (auth, at_device) = Start::new(device(), slot()).begin(&mut pad).unwrap();
    let asked = ExpectAuth::new().on_frame(&auth).unwrap();
    assert_eq!((asked.device(), asked.slot(), asked.suite()), (&device(), slot(), Suite::TDES));
    let (cert, server) = asked.certificate(der(70), vec![der(5)]).unwrap();

    let offered = at_device.on_frame(&mut pad, &cert).unwrap();
    assert_eq!((&offered.chain().leaf, &offered.chain().intermediates), (&der(70), &vec![der(5)]));
    let (factor, at_device) = offered.factor(&mut pad, &RKS_KEY).unwrap();
    let (token, server) = rks.token(server.on_frame(&factor).unwrap());
    let (proof, at_device) = at_device.on_frame(&mut pad, &token).unwrap();
    let proven = server.on_frame(&proof).unwrap();
    assert_eq!((proven.device(), proven.slot()), (&device(), slot()));
    let (keys, server) = rks.deliver(proven, true).unwrap();

    assert_eq!(pad.disk, []);
    let (confirm, at_device) = at_device.on_frame(&mut pad, &keys).unwrap();
    let on_disk = [("SN-1001/03".into(), 0xBA), ("SN-1001/04".into(), 0x7B)];
    assert_eq!(pad.disk, on_disk, "the keys are on disk before KEY_CONFIRM leaves");
    assert_eq!(at_device.kcvs(), [kcv(0xBA), kcv(0x7B)]);

    let Confirm::Opened(confirmed) = server.on_frame(&confirm).unwrap().compare() else {
        panic!("values are right")
    };
    assert_eq!(confirmed.kcvs(), [kcv(0xBA), kcv(0x7B)]);
    let finished = at_device.on_frame(&mut pad, &confirmed.done().unwrap()).unwrap();
    assert_eq!((finished.kcvs(), finished.more()), (&[kcv(0xBA), kcv(0x7B)][..], true));
    assert_eq!(pad.calls, ["begin", "factor", "proof", "keys", "done", "forget"]);
}

#[test]
fn loop_ends_when_there_is_no_more() {
    let (mut pad, mut rks) = (Pad::default(), Rks::new());
    let mut runs = 0;
    loop {
        let (at_device, proven, _) = until_proof(&mut pad, &mut rks);
        runs += 1;
        let (keys, server) = rks.deliver(proven, runs < 3).unwrap();
        let (confirm, at_device) = at_device.on_frame(&mut pad, &keys).unwrap();
        let Confirm::Opened(confirmed) = server.on_frame(&confirm).unwrap().compare() else {
            panic!("values are right")
        };
        if !at_device.on_frame(&mut pad, &confirmed.done().unwrap()).unwrap().more() {
            break;
        }
    }
    assert_eq!(runs, 3);
}

#[test]
fn frames_are_those_that_the_contexts_are_over() {
    let (mut pad, mut rks) = (Pad::default(), Rks::new());
    let (_, proven, frames) = until_proof(&mut pad, &mut rks);
    let bytes: vec::Vec<u8> = frames.iter().flat_map(wire::Frame::bytes).copied().collect();
    assert_eq!(proven.said().bytes(), bytes);
    let mut transcript = crate::Transcript::new();
    frames.iter().for_each(|frame| transcript.push(frame));
    assert_eq!(proven.context_after(&[]), transcript.context());
    assert_eq!(proven.context_after(&["B1", "B2"]), transcript.context_after(&["B1", "B2"]));
}
