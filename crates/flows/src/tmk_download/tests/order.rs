//! Every message type in every state that does not wait for it, for both roles.

use std::vec::Vec;

use wire::{ErrorCode, Fields, Frame, Malformed, MessageType, error_frame};

use super::{
    answered, assert_protocol,
    fake::{Kms, Pad, device, slot},
};
use crate::{
    ProtocolError,
    tmk_download::{
        Fault,
        kms::{ExpectConfirm, ExpectHello, ExpectReply},
        terminal::{ExpectChallenge, ExpectDone, ExpectKey, Start},
    },
};

/// Both roles, brought to the same point.
struct Stage {
    pad: Pad,
    terminal: (ExpectChallenge, ExpectKey, ExpectDone),
    kms: (ExpectReply, ExpectConfirm),
    /// All six frames, in order.
    frames: Vec<Frame>,
}

/// Runs one download and keeps a state of each kind. States are consumed, so each comes from a run of its own with the
/// same random numbers.
fn stage() -> Stage {
    let run = || {
        let (mut pad, mut kms) = (Pad::new(), Kms::new());
        let (hello, terminal) = Start::new(device(), slot()).begin(&mut pad).unwrap();
        let (challenge, server) = kms.challenge(ExpectHello::new().on_frame(&hello).unwrap());
        (pad, kms, terminal, server, hello, challenge)
    };
    let (_, _, expect_challenge, expect_reply, hello, challenge) = run();
    let (mut pad, kms, terminal, server, ..) = run();
    let (reply, expect_key) = terminal.on_frame(&mut pad, &challenge).unwrap();
    let (key, expect_confirm) = kms.deliver(server.on_frame(&reply).unwrap()).unwrap();
    let (mut pad, _, terminal, ..) = run();
    let (_, terminal) = terminal.on_frame(&mut pad, &challenge).unwrap();
    let (confirm, expect_done) = terminal.on_frame(&mut pad, &key).unwrap();
    let done = Frame::new(MessageType::Done, &Fields::new()).unwrap();
    pad.calls.clear();
    Stage {
        pad,
        terminal: (expect_challenge, expect_key, expect_done),
        kms: (expect_reply, expect_confirm),
        frames: [hello, challenge, reply, key, confirm, done].into(),
    }
}

/// Gives a state, brought to its point afresh, a frame.
type Take = fn(&Frame) -> Result<(), Fault>;

/// Every state by name, what it waits for, and what it makes of a frame.
fn states() -> [(&'static str, MessageType, Take); 6] {
    /// Gives the frame to a terminal's state and checks that a refused one never reaches the PIN pad.
    macro_rules! terminal {
        ($state:tt) => {
            |frame| {
                let mut stage = stage();
                let result = stage.terminal.$state.on_frame(&mut stage.pad, frame).map(drop);
                if result.is_err() {
                    assert!(stage.pad.calls.is_empty());
                }
                result
            }
        };
    }
    [
        ("terminal ExpectChallenge", MessageType::TkChallenge, terminal!(0)),
        ("terminal ExpectKey", MessageType::TkKey, terminal!(1)),
        ("terminal ExpectDone", MessageType::Done, terminal!(2)),
        ("KMS ExpectHello", MessageType::TkHello, |frame| ExpectHello::new().on_frame(frame).map(drop)),
        ("KMS ExpectReply", MessageType::TkReply, |frame| stage().kms.0.on_frame(frame).map(drop)),
        ("KMS ExpectConfirm", MessageType::KeyConfirm, |frame| stage().kms.1.on_frame(frame).map(drop)),
    ]
}

#[test]
fn expected_message_is_taken_in_its_state() {
    let frames = stage().frames;
    for (name, expected, take) in states() {
        let frame = frames.iter().find(|frame| frame.kind() == Ok(expected)).unwrap();
        assert_eq!(take(frame), Ok(()), "{name}");
    }
}

#[test]
fn every_other_message_is_0003() {
    // The right frames of this flow where there is one, an empty message of the type otherwise.
    let right = stage().frames;
    for (name, expected, take) in states() {
        for found in
            MessageType::ALL.iter().copied().filter(|kind| ![expected, MessageType::Error].contains(kind))
        {
            let empty = Frame::new(found, &Fields::new()).unwrap();
            let frame = right.iter().find(|frame| frame.kind() == Ok(found)).unwrap_or(&empty);
            let fault = take(frame).expect_err(name);
            assert_protocol(&fault, &ProtocolError::Unexpected { expected, found });
            assert_eq!(answered(&fault).known_code(), Some(ErrorCode::UnexpectedMessage), "{name}, {found}");
        }
    }
}

#[test]
fn unknown_type_is_0003_and_wrong_version_0002() {
    for (name, _, take) in states() {
        let fault = take(&Frame::from_payload(&[1, 0x07]).unwrap()).expect_err(name);
        assert_protocol(&fault, &Malformed::UnknownMessageType { found: 7 }.into());
        assert_eq!(answered(&fault).known_code(), Some(ErrorCode::UnexpectedMessage));
        let fault = take(&Frame::from_payload(&[2, 0x01]).unwrap()).expect_err(name);
        assert_protocol(&fault, &Malformed::Version { found: 2 }.into());
        assert_eq!(answered(&fault).known_code(), Some(ErrorCode::Malformed));
    }
}

#[test]
fn error_of_the_peer_ends_every_state_and_is_not_answered() {
    for (name, _, take) in states() {
        for code in ErrorCode::ALL {
            let fault = take(&error_frame(*code, "because")).expect_err(name);
            assert_eq!(fault.code, *code, "{name}");
            assert_eq!(fault.peer_error().map(|error| error.text.as_str()), Some("because"));
            assert_eq!(fault.answer(), None);
            assert_eq!(fault.answer_with("no"), None);
        }
    }
}

#[test]
fn broken_error_of_the_peer_is_not_answered_either() {
    for payload in [&[1, 0x7F][..], &[1, 0x7F, 0xDF], &[1, 0x7F, 0xDF, 0x60, 2, 0x12, 0x34]] {
        for (name, _, take) in states() {
            let fault = take(&Frame::from_payload(payload).unwrap()).expect_err(name);
            assert_eq!((fault.code, fault.answer()), (ErrorCode::Internal, None), "{name}");
        }
    }
}

#[test]
fn malformed_fields_are_0002_in_every_state() {
    for (name, expected, take) in states() {
        // A tag without a length, and one repeated that the row does not list.
        for fields in [&[0xDF, 0x05][..], &[0xDF, 0x7F, 0, 0xDF, 0x7F, 0]] {
            let frame = Frame::from_payload(&[&[1, expected.byte()], fields].concat()).unwrap();
            let fault = take(&frame).expect_err(name);
            assert_eq!(answered(&fault).known_code(), Some(ErrorCode::Malformed), "{name}");
        }
    }
}

#[test]
fn unlisted_field_is_skipped_in_every_state() {
    for (name, expected, take) in states() {
        let right = stage().frames.into_iter().find(|frame| frame.kind() == Ok(expected)).unwrap();
        let more = [right.payload(), &[0xDF, 0x7F, 1, 0]].concat();
        let frame = Frame::from_payload(&more).unwrap();
        assert_eq!(take(&frame), Ok(()), "{name}");
    }
}
