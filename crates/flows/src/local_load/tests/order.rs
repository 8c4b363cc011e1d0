//! Every message type in every state that does not wait for it, for both roles.

use std::vec::Vec;

use wire::{Frame, MessageType};

use super::fake::{KLD_KEY, Kld, Pad, device, start, until_accept};
use crate::{
    local_load::{
        kld::{Confirm, ExpectConfirm},
        terminal::{Connect, ExpectDone},
    },
    testing::{State, every_message_in_every_state},
};

/// Both roles up to the point where DONE is to come, and all five frames.
fn until_confirm() -> (Pad, ExpectDone, ExpectConfirm, Vec<Frame>) {
    let mut pad = Pad::new();
    let (terminal, accepted, [connect, accept]) = until_accept(&mut pad);
    let (key, loader) = Kld::new().deliver(accepted).unwrap();
    let (confirm, terminal) = terminal.on_frame(&mut pad, &key).unwrap();
    let done = crate::Done.write().unwrap();
    (pad, terminal, loader, [connect, accept, key, confirm, done].into())
}

#[test]
fn every_message_is_taken_in_its_state_and_refused_in_every_other() {
    let states = [
        State {
            name: "terminal, at the start",
            expected: MessageType::KldConnect,
            take: |frame| Connect::read(frame)?.accept(&mut Pad::new(), &device(), &KLD_KEY).map(drop),
        },
        State {
            name: "terminal ExpectKey",
            expected: MessageType::KldKey,
            take: |frame| {
                let mut pad = Pad::new();
                let (terminal, ..) = until_accept(&mut pad);
                let result = terminal.on_frame(&mut pad, frame).map(drop);
                assert!(
                    result.is_ok() || pad.calls == ["accept"],
                    "a refused frame never reaches the PIN pad"
                );
                result
            },
        },
        State {
            name: "terminal ExpectDone",
            expected: MessageType::Done,
            take: |frame| {
                let (mut pad, terminal, ..) = until_confirm();
                let result = terminal.on_frame(&mut pad, frame).map(drop);
                assert!(result.is_ok() || pad.calls == ["accept", "load"]);
                result
            },
        },
        State {
            name: "KLD ExpectAccept",
            expected: MessageType::KldAccept,
            take: |frame| start().begin().unwrap().1.on_frame(frame).map(drop),
        },
        State {
            name: "KLD ExpectConfirm",
            expected: MessageType::KeyConfirm,
            take: |frame| match until_confirm().2.on_frame(frame)?.compare() {
                Confirm::Opened(_) => Ok(()),
                Confirm::WrongCheckValue(fault) => Err(fault),
            },
        },
    ];
    every_message_in_every_state(&states, &until_confirm().3);
}
