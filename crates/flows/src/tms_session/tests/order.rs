//! Every message type in every state that does not wait for it, for both roles.

use std::vec::Vec;

use wire::{Frame, MessageType};

use super::fake::{Pad, Tms, key_download, start, until_challenge, until_confirm, until_proof};
use crate::{
    Done,
    testing::{State, every_message_in_every_state},
    tms_session::{
        Fault, Transaction,
        tms::{Confirm, ExpectHello},
    },
};

/// All six frames of a key download.
fn right() -> Vec<Frame> {
    let (_, _, mut frames) = until_confirm(&mut Pad::default(), &mut Tms::default());
    frames.push(Done.write().unwrap());
    frames
}

/// What a state of the terminal made of a frame; a refused one never reaches the PIN pad.
fn unseen(pad: &Pad, call: &'static str, result: Result<(), Fault>) -> Result<(), Fault> {
    assert!(result.is_ok() || !pad.calls.contains(&call), "it never reaches the PIN pad");
    result
}

#[test]
fn every_message_is_taken_in_its_state_and_refused_in_every_other() {
    let states = [
        State {
            name: "terminal ExpectChallenge",
            expected: MessageType::TmsChallenge,
            take: |frame| {
                let mut pad = Pad::default();
                let (_, terminal) = start(key_download()).begin(&mut pad).unwrap();
                let result = terminal.on_frame(&mut pad, frame, None).map(drop);
                unseen(&pad, "prove", result)
            },
        },
        State {
            name: "terminal ExpectKey",
            expected: MessageType::TmsKey,
            take: |frame| {
                let (mut pad, mut tms) = (Pad::default(), Tms::default());
                let (terminal, ..) = until_proof(&mut pad, &mut tms, key_download());
                let result = terminal.on_frame(&mut pad, frame).map(drop);
                unseen(&pad, "keys", result)
            },
        },
        State {
            name: "terminal ExpectDone",
            expected: MessageType::Done,
            take: |frame| {
                let mut pad = Pad::default();
                let (terminal, ..) = until_confirm(&mut pad, &mut Tms::default());
                let result = terminal.on_frame(&mut pad, frame).map(drop);
                unseen(&pad, "done", result)
            },
        },
        State {
            name: "TMS ExpectHello",
            expected: MessageType::TmsHello,
            take: |frame| ExpectHello::new().on_frame(frame).map(drop),
        },
        State {
            name: "TMS ExpectProof",
            expected: MessageType::TmsProof,
            take: |frame| {
                let (mut pad, mut tms) = (Pad::default(), Tms::default());
                until_challenge(&mut pad, &mut tms, key_download()).1.on_frame(frame).map(drop)
            },
        },
        State {
            name: "TMS ExpectConfirm",
            expected: MessageType::KeyConfirm,
            take: |frame| {
                let (_, server, _) = until_confirm(&mut Pad::default(), &mut Tms::default());
                match server.on_frame(frame)?.compare() {
                    Confirm::Opened(_) => Ok(()),
                    Confirm::WrongCheckValue(fault) => Err(fault),
                }
            },
        },
    ];
    every_message_in_every_state(&states, &right());
}

/// A session of one transaction is not opened as one of the other.
#[test]
fn transaction_cannot_be_changed_half_way() {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (_, proven, _) = until_proof(&mut pad, &mut tms, Transaction::ProgramDownload);
    assert_eq!(tms.open_key(proven).unwrap_err().code, wire::ErrorCode::Internal);
    let (_, proven, _) = until_proof(&mut pad, &mut tms, key_download());
    assert_eq!(tms.open_program(proven).unwrap_err().code, wire::ErrorCode::Internal);
}
