//! What a TMS takes in the sealed phase, and what it may answer.

use std::{string::ToString, vec};

use wire::{ErrorCode, Fields, Frame, MessageType, error_frame};

use super::{entry, package};
use crate::{
    ProtocolError, Tdes,
    tms_download::{Data, Get, Inventory, Plan, Reason, Report, Request},
};

fn get(offset: u64, wanted: u32) -> Get {
    let id = package("pay-app", "1.2.0");
    Get { name: id.name, version: id.version, offset, wanted }
}

fn inventory() -> Inventory {
    Inventory { installed: vec![], status: None }
}

fn report() -> Report {
    Report { installed: vec![], good: true, status: None, refusals: vec![] }
}

#[test]
fn requests_come_in_any_order() {
    for (inner, expected) in [
        (report().to_payload(), Request::Report(report())),
        (get(7, 1).to_payload(), Request::Get(get(7, 1))),
        (inventory().to_payload(), Request::Inventory(inventory())),
        (get(0, 9).to_payload(), Request::Get(get(0, 9))),
    ] {
        assert_eq!(Request::read::<Tdes>(&inner.unwrap()).unwrap(), expected);
    }
}

#[test]
fn every_other_message_is_0003() {
    let taken = [MessageType::TmsInventory, MessageType::TmsGet, MessageType::TmsReport];
    for found in MessageType::ALL.iter().copied().filter(|kind| !taken.contains(kind)) {
        let frame = Frame::new(found, &Fields::new()).unwrap();
        let fault = Request::read::<Tdes>(frame.payload()).unwrap_err();
        if found == MessageType::Error {
            assert_eq!(fault.answer(), None);
        } else {
            let expected = ProtocolError::Unexpected { expected: MessageType::TmsGet, found };
            assert_eq!(fault.reason, Reason::Protocol(expected));
            assert_eq!(fault.code, ErrorCode::UnexpectedMessage);
        }
    }
}

#[test]
fn payload_that_is_no_message_is_refused() {
    for (inner, code) in [
        (&[][..], ErrorCode::Malformed),
        (&[1], ErrorCode::Malformed),
        (&[2, 0x35], ErrorCode::Malformed),
        (&[1, 0x07], ErrorCode::UnexpectedMessage),
        (&[1, 0x35, 0xDF], ErrorCode::Malformed),
        (&vec![1; 65_536], ErrorCode::Malformed),
    ] {
        assert_eq!(Request::read::<Tdes>(inner).unwrap_err().code, code);
    }
}

#[test]
fn sealed_error_of_the_terminal_is_not_answered() {
    let error = error_frame(ErrorCode::NotPermittedNow, "battery");
    let fault = Request::read::<Tdes>(error.payload()).unwrap_err();
    assert_eq!((fault.code, fault.answer()), (ErrorCode::NotPermittedNow, None));
    assert_eq!(fault.peer_error().map(|error| error.text.as_str()), Some("battery"));
}

#[test]
fn get_is_answered_by_what_is_wanted_or_left() {
    for (offset, wanted, size, length) in
        [(0, 4, 10, 4), (6, 4, 10, 4), (7, 4, 10, 3), (9, 4, 10, 1), (0, 32_768, u64::MAX, 32_768)]
    {
        assert_eq!(get(offset, wanted).length(size).unwrap(), length);
        let data = vec![9; length as usize];
        let answer = get(offset, wanted).answer(size, data.clone()).unwrap();
        let expected = Data { name: get(0, 1).name, version: get(0, 1).version, offset, data };
        assert_eq!(Data::from_payload::<Tdes>(&answer), Ok(expected));
    }
}

#[test]
fn get_behind_the_end_is_0008() {
    for (offset, size) in [(10, 10), (11, 10), (u64::MAX, 10), (0, 0)] {
        let fault = get(offset, 4).length(size).unwrap_err();
        assert_eq!(
            (fault.code, &fault.reason),
            (ErrorCode::NotPermittedNow, &Reason::PastTheEnd { offset, size })
        );
        assert_eq!(get(offset, 4).answer(size, vec![]).unwrap_err(), fault);
    }
}

#[test]
fn repository_that_gives_another_length_is_0001() {
    for length in [0, 3, 5] {
        let fault = get(0, 4).answer(10, vec![9; length]).unwrap_err();
        assert_eq!(fault.code, ErrorCode::Internal, "{length}");
    }
}

#[test]
fn package_that_is_not_offered_is_0008_and_named_to_the_audit_only() {
    let fault = get(0, 4).not_offered();
    assert_eq!(fault.code, ErrorCode::NotPermittedNow);
    assert_eq!(fault.reason.to_string(), "pay-app 1.2.0 is not offered to this terminal");
    let code = ErrorCode::NotPermittedNow;
    assert_eq!(fault.answer(), Some(error_frame(code, code.text())));
}

#[test]
fn inventory_is_answered_by_the_plan() {
    let plan = Plan { entries: vec![entry(5)], more: true };
    let answer = inventory().answer(&plan).unwrap();
    assert_eq!(Plan::from_payload::<Tdes>(&answer), Ok(plan));
}
