//! What the tests of several flows share.

pub(crate) mod ec_aes;

use std::{string::String, vec::Vec};

use serde_json::Value;
use wire::{ErrorCode, Fields, Frame, Malformed, MessageType, Tag, error_frame};

use crate::{Fault, HasCode, ProtocolError};

/// A flow of `vectors/tdes-suite.json`, which is the project's own file, written with 2-wire.md.
pub(crate) fn vector(flow: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/tdes-suite.json");
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    all[flow].clone()
}

/// The bytes of a vector's hex.
pub(crate) fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// A message with these primitive fields.
pub(crate) fn frame(kind: MessageType, fields: &[(Tag, &[u8])]) -> Frame {
    let mut all = Fields::new();
    fields.iter().for_each(|(tag, value)| all.push(*tag, value).unwrap());
    Frame::new(kind, &all).unwrap()
}

/// A message of these fields, with one replaced or, with no value, left out.
pub(crate) fn with(kind: MessageType, good: &[(Tag, &[u8])], tag: Tag, value: Option<&[u8]>) -> Frame {
    let mut fields: Vec<(Tag, &[u8])> = good.iter().copied().filter(|(known, _)| *known != tag).collect();
    fields.extend(value.map(|value| (tag, value)));
    frame(kind, &fields)
}

/// What looks like a certificate to the cutting apart: a SEQUENCE with so many bytes inside.
pub(crate) fn der(inside: u8) -> Vec<u8> {
    assert!(inside < 0x80);
    [std::vec![0x30, inside], std::vec![0xCE; inside.into()]].concat()
}

#[track_caller]
pub(crate) fn assert_malformed<T: core::fmt::Debug, R: HasCode + core::fmt::Debug>(
    result: Result<T, Fault<R>>,
    expected: Malformed,
) {
    let fault = result.unwrap_err();
    assert_eq!(fault.reason.protocol(), Some(&ProtocolError::Malformed(expected)));
    assert_eq!(fault.code, ErrorCode::Malformed);
}

/// A state of a role, by name: what it waits for, and what a fresh one makes of a frame.
pub(crate) struct State<R: HasCode> {
    pub(crate) name: &'static str,
    pub(crate) expected: MessageType,
    pub(crate) take: fn(&Frame) -> Result<(), Fault<R>>,
}

/// Every message type in every state that does not wait for it, and every defect that any message can have. `right` are
/// the right frames of one run, as many as there are.
pub(crate) fn every_message_in_every_state<R: HasCode + core::fmt::Debug>(
    states: &[State<R>],
    right: &[Frame],
) {
    for State { name, expected, take } in states {
        let good = right.iter().find(|frame| frame.kind() == Ok(*expected)).unwrap();
        assert!(take(good).is_ok(), "{name}");
        takes_what_nobody_reads(name, good, *take);
        refuses_every_other_message(name, *expected, right, *take);
        ends_at_an_error(name, *take);
        refuses_what_is_no_message(name, *expected, *take);
    }
}

type Take<R> = fn(&Frame) -> Result<(), Fault<R>>;

fn takes_what_nobody_reads<R: HasCode>(name: &str, good: &Frame, take: Take<R>) {
    let more = [good.payload(), &[0xDF, 0x7F, 1, 0]].concat();
    assert!(take(&Frame::from_payload(&more).unwrap()).is_ok(), "{name}");
}

fn refuses_every_other_message<R: HasCode>(
    name: &str,
    expected: MessageType,
    right: &[Frame],
    take: Take<R>,
) {
    for found in
        MessageType::ALL.iter().copied().filter(|kind| ![expected, MessageType::Error].contains(kind))
    {
        let empty = Frame::new(found, &Fields::new()).unwrap();
        let frame = right.iter().find(|frame| frame.kind() == Ok(found)).unwrap_or(&empty);
        let fault = take(frame).expect_err(name);
        assert_eq!(fault.reason.protocol(), Some(&ProtocolError::Unexpected { expected, found }), "{name}");
        let error = error_frame(ErrorCode::UnexpectedMessage, ErrorCode::UnexpectedMessage.text());
        assert_eq!(fault.answer(), Some(error), "{name}, {found}");
    }
}

fn ends_at_an_error<R: HasCode>(name: &str, take: Take<R>) {
    for code in ErrorCode::ALL {
        let fault = take(&error_frame(*code, "because")).expect_err(name);
        assert_eq!((fault.code, fault.answer()), (*code, None), "{name}");
        assert_eq!(fault.peer_error().map(|error| error.text.as_str()), Some("because"));
    }
    for payload in [&[1, 0x7F][..], &[1, 0x7F, 0xDF], &[1, 0x7F, 0xDF, 0x60, 2, 0x12, 0x34]] {
        let fault = take(&Frame::from_payload(payload).unwrap()).expect_err(name);
        assert_eq!((fault.code, fault.answer()), (ErrorCode::Internal, None), "{name}");
    }
}

fn refuses_what_is_no_message<R: HasCode>(name: &str, expected: MessageType, take: Take<R>) {
    let code = |payload: &[u8]| take(&Frame::from_payload(payload).unwrap()).expect_err(name).code;
    assert_eq!(code(&[1, 0x07]), ErrorCode::UnexpectedMessage, "{name}: no message has this type");
    assert_eq!(code(&[2, expected.byte()]), ErrorCode::Malformed, "{name}: another version");
    // A tag without a length, and one repeated that the row does not list.
    for fields in [&[0xDF, 0x05][..], &[0xDF, 0x7F, 0, 0xDF, 0x7F, 0]] {
        assert_eq!(code(&[&[1, expected.byte()], fields].concat()), ErrorCode::Malformed, "{name}");
    }
}

/// Each reason with its code, and that its ERROR says no more than that.
pub(crate) fn every_reason_has_its_code<R: HasCode>(reasons: impl IntoIterator<Item = (R, ErrorCode)>) {
    for (reason, code) in reasons {
        let fault = Fault::from(reason);
        assert_eq!((fault.code, fault.answer()), (code, Some(error_frame(code, code.text()))), "{fault}");
    }
}

/// Why, for reasons whose words do not matter.
pub(crate) fn why() -> String {
    "a reason that is for the audit".into()
}
