//! Every message type in every state that does not wait for it, for both roles.

use std::vec::Vec;

use wire::{Frame, MessageType};

use super::fake::{Host, Pad, until_confirm, until_keys};
use crate::{
    sign_in::host::ExpectSignIn,
    testing::{State, every_message_in_every_state},
};

/// All four frames.
fn right() -> Vec<Frame> {
    let (mut pad, mut host) = (Pad::default(), Host::new());
    let (_, server, frames) = until_confirm(&mut pad, &mut host);
    let done = host.done(server.on_frame(&frames[2]).unwrap()).unwrap();
    frames.into_iter().chain([done]).collect()
}

#[test]
fn every_message_is_taken_in_its_state_and_refused_in_every_other() {
    let states = [
        State {
            name: "terminal ExpectKeys",
            expected: MessageType::WorkingKeys,
            take: |frame| {
                let mut pad = Pad::default();
                let (terminal, ..) = until_keys(&mut pad, &mut Host::new());
                let result = terminal.on_frame(&mut pad, frame).map(drop);
                assert!(result.is_ok() || !pad.calls.contains(&"keys"), "it never reaches the PIN pad");
                assert!(result.is_ok() || pad.calls.last() == Some(&"forget"));
                result
            },
        },
        State {
            name: "terminal ExpectDone",
            expected: MessageType::Done,
            take: |frame| {
                let mut pad = Pad::default();
                let (terminal, ..) = until_confirm(&mut pad, &mut Host::new());
                let result = terminal.on_frame(&mut pad, frame).map(drop);
                assert!(result.is_ok() || !pad.calls.contains(&"done"), "it never reaches the PIN pad");
                assert!(result.is_ok() || pad.remembers.is_empty(), "the new keys are forgotten");
                result
            },
        },
        State {
            name: "host ExpectSignIn",
            expected: MessageType::SignIn,
            take: |frame| ExpectSignIn::new().on_frame(frame).map(drop),
        },
        State {
            name: "host ExpectConfirm",
            expected: MessageType::SignInConfirm,
            take: |frame| {
                let (_, server, _) = until_keys(&mut Pad::default(), &mut Host::new());
                server.on_frame(frame).map(drop)
            },
        },
    ];
    every_message_in_every_state(&states, &right());
}
