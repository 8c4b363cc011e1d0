//! Every message type in every state that does not wait for it, for both roles.

use std::vec::Vec;

use wire::{Frame, MessageType};

use super::fake::{Pad, RKS_KEY, Rks, device, slot, until_cert, until_proof, until_token};
use crate::{
    rks_load::{
        device::{ExpectDone, Start},
        rks::{Confirm, ExpectAuth, ExpectConfirm},
    },
    testing::{State, every_message_in_every_state},
};

/// Both roles up to the point where DONE is to come, and all eight frames.
fn until_confirm() -> (Pad, ExpectDone, ExpectConfirm, Vec<Frame>) {
    let (mut pad, mut rks) = (Pad::default(), Rks::new());
    let (terminal, proven, frames) = until_proof(&mut pad, &mut rks);
    let (keys, server) = rks.deliver(proven, false).unwrap();
    let (confirm, terminal) = terminal.on_frame(&mut pad, &keys).unwrap();
    let done = crate::Done.write().unwrap();
    (pad, terminal, server, frames.into_iter().chain([keys, confirm, done]).collect())
}

#[test]
fn every_message_is_taken_in_its_state_and_refused_in_every_other() {
    let states = [
        State {
            name: "device ExpectCert",
            expected: MessageType::RksCert,
            take: |frame| {
                let mut pad = Pad::default();
                let (_, terminal) = Start::new(device(), slot()).begin(&mut pad).unwrap();
                terminal.on_frame(&mut pad, frame)?.factor(&mut pad, &RKS_KEY).map(drop)
            },
        },
        State {
            name: "device ExpectToken",
            expected: MessageType::RksToken,
            take: |frame| {
                let mut pad = Pad::default();
                let (terminal, ..) = until_token(&mut pad, &mut Rks::new());
                let result = terminal.on_frame(&mut pad, frame).map(drop);
                assert!(result.is_ok() || !pad.calls.contains(&"proof"), "it never reaches the PIN pad");
                result
            },
        },
        State {
            name: "device ExpectKeys",
            expected: MessageType::RksKeys,
            take: |frame| {
                let mut pad = Pad::default();
                let (terminal, ..) = until_proof(&mut pad, &mut Rks::new());
                let result = terminal.on_frame(&mut pad, frame).map(drop);
                assert!(result.is_ok() || !pad.calls.contains(&"keys"), "it never reaches the PIN pad");
                result
            },
        },
        State {
            name: "device ExpectDone",
            expected: MessageType::Done,
            take: |frame| {
                let (mut pad, terminal, ..) = until_confirm();
                let result = terminal.on_frame(&mut pad, frame).map(drop);
                assert!(result.is_ok() || !pad.calls.contains(&"done"), "it never reaches the PIN pad");
                result
            },
        },
        State {
            name: "RKS ExpectAuth",
            expected: MessageType::RksAuth,
            take: |frame| ExpectAuth::new().on_frame(frame).map(drop),
        },
        State {
            name: "RKS ExpectFactor",
            expected: MessageType::RksFactor,
            take: |frame| until_cert(&mut Pad::default(), &Rks::new()).1.on_frame(frame).map(drop),
        },
        State {
            name: "RKS ExpectProof",
            expected: MessageType::RksProof,
            take: |frame| until_token(&mut Pad::default(), &mut Rks::new()).1.on_frame(frame).map(drop),
        },
        State {
            name: "RKS ExpectConfirm",
            expected: MessageType::KeyConfirm,
            take: |frame| match until_confirm().2.on_frame(frame)?.compare() {
                Confirm::Opened(_) => Ok(()),
                Confirm::WrongCheckValue(fault) => Err(fault),
            },
        },
    ];
    every_message_in_every_state(&states, &until_confirm().3);
}
