//! Both roles in memory. A signature in these tests is the text that it is over, behind one byte that names its key.

use std::{vec, vec::Vec};

use wire::{BcdTime, Device, ErrorCode, Frame, Malformed, MessageType, Serial, Tag};

use super::{
    CHALLENGE, Fault, Reason, signed_text,
    station::{ExpectDone, Start},
    terminal::{Ask, Authorisation, ExpectRepair},
};
use crate::{
    ProtocolError,
    testing::{
        State, assert_malformed, der, every_message_in_every_state, every_reason_has_its_code, why, with,
    },
};

const VENDOR: u8 = 0xA1;
const CHALLENGED: [u8; CHALLENGE] = [0x5A; CHALLENGE];

fn device() -> Device {
    Device::built_in(Serial::parse("SN-1001").unwrap())
}

fn expiry() -> BcdTime {
    BcdTime::from_bytes([0x26, 0x11, 0x20, 0x12, 0x34, 0x56]).unwrap()
}

fn sign(text: &[u8]) -> Vec<u8> {
    [&[VENDOR], text].concat()
}

/// What a terminal's driver checks.
fn checked(authorisation: &Authorisation) -> bool {
    authorisation.signature() == sign(authorisation.signed_text())
}

/// Both roles up to the point where DONE is to come, and all four frames.
fn run() -> (ExpectDone, Authorisation, [Frame; 4]) {
    let (ask, station) = Start::new().begin().unwrap();
    let (challenge, terminal) = Ask::read(&ask).unwrap().challenge(device(), CHALLENGED).unwrap();
    let asked = station.on_frame(&challenge).unwrap();
    assert_eq!((asked.device(), asked.challenge()), (&device(), &CHALLENGED));
    let signature = sign(&asked.signed_text(expiry()));
    let (repair, station) = asked.authorise(der(70), vec![der(5)], expiry(), signature).unwrap();
    let authorisation = terminal.on_frame(&repair).unwrap();
    let done = crate::Done.write().unwrap();
    (station, authorisation, [ask, challenge, repair, done])
}

#[test]
fn authorisation_reaches_the_terminal_it_is_for() {
    let (station, authorisation, _) = run();
    assert!(checked(&authorisation));
    let chain = authorisation.chain();
    assert_eq!((&chain.leaf, &chain.intermediates), (&der(70), &vec![der(5)]));
    assert_eq!(authorisation.expiry(), expiry());
    assert_eq!(station.on_frame(&authorisation.done().unwrap()).unwrap(), device());
}

/// Worked out by hand from section 3: `"KF repair" ‖ SN ‖ 00 ‖ PIN pad serial ‖ 00 ‖ DF26 ‖ DF27`.
#[test]
fn signed_text_is_as_its_row_says() {
    let tail = [&CHALLENGED[..], &[0x26, 0x11, 0x20, 0x12, 0x34, 0x56]].concat();
    let built_in = [b"KF repairSN-1001\0SN-1001\0", tail.as_slice()].concat();
    assert_eq!(signed_text(&device(), &CHALLENGED, expiry()), built_in);
    let external = Device::new("SN-1001".parse().unwrap(), Some("PP-7".parse().unwrap())).unwrap();
    let external_text = [b"KF repairSN-1001\0PP-7\0", tail.as_slice()].concat();
    assert_eq!(signed_text(&external, &CHALLENGED, expiry()), external_text);
}

#[test]
fn authorisation_of_another_terminal_challenge_or_expiry_does_not_hold() {
    let (_, _, [.., repair, _]) = run();
    let holds = |device, challenge, repair: &Frame| {
        checked(&ExpectRepair::resume(device, challenge).on_frame(repair).unwrap())
    };
    assert!(holds(device(), CHALLENGED, &repair), "also on a later connection");
    let other = Device::built_in(Serial::parse("SN-1002").unwrap());
    assert!(!holds(other, CHALLENGED, &repair));
    let other = Device::new("SN-1001".parse().unwrap(), Some("PP-7".parse().unwrap())).unwrap();
    assert!(!holds(other, CHALLENGED, &repair));
    assert!(!holds(device(), [0x5B; CHALLENGE], &repair), "a used challenge is replaced by a new one");
    let mut later = super::messages::Repair::read(&repair).unwrap();
    later.expiry = BcdTime::from_unix(expiry().unix() + 1).unwrap();
    assert!(!holds(device(), CHALLENGED, &later.write().unwrap()));
}

#[test]
fn every_refusal_of_the_terminal_has_its_reason() {
    for (fault, code) in [
        (run().1.certificate_refused("role".into()), ErrorCode::CertificateRefused),
        (run().1.wrong_signature(), ErrorCode::ServerAuthenticationFailed),
        (run().1.expired(), ErrorCode::NotPermittedNow),
    ] {
        assert_eq!(fault.code, code);
        assert!(fault.answer().is_some());
    }
    assert_eq!(run().1.expired().reason, Reason::Expired { expiry: expiry() });
}

#[test]
fn station_refuses_a_terminal_that_it_has_not_come_for() {
    let (_, _, [_, challenge, ..]) = run();
    let (_, station) = Start::new().begin().unwrap();
    let fault = station.on_frame(&challenge).unwrap().unknown_terminal();
    assert_eq!(fault.reason, Reason::UnknownTerminal { sn: device().sn().clone() });
    assert_eq!(fault.code, ErrorCode::UnknownTerminal);
}

#[test]
fn every_message_is_taken_in_its_state_and_refused_in_every_other() {
    let states = [
        State {
            name: "terminal, at the start",
            expected: MessageType::RepairAsk,
            take: |frame| Ask::read(frame).map(drop),
        },
        State {
            name: "terminal ExpectRepair",
            expected: MessageType::Repair,
            take: |frame| ExpectRepair::resume(device(), CHALLENGED).on_frame(frame).map(drop),
        },
        State {
            name: "station ExpectChallenge",
            expected: MessageType::RepairChallenge,
            take: |frame| Start::new().begin().unwrap().1.on_frame(frame).map(drop),
        },
        State {
            name: "station ExpectDone",
            expected: MessageType::Done,
            take: |frame| run().0.on_frame(frame).map(drop),
        },
    ];
    every_message_in_every_state(&states, &run().2);
}

fn repair_with(tag: Tag, value: Option<&[u8]>) -> Result<Authorisation, Fault> {
    let good: [(Tag, &[u8]); 3] = [
        (Tag::CERTIFICATE, &[0x30, 0]),
        (Tag::REPAIR_EXPIRY, &[0x26, 0x11, 0x20, 0x12, 0x34, 0x56]),
        (Tag::SIGNATURE, &[7; 256]),
    ];
    let frame = with(MessageType::Repair, &good, tag, value);
    ExpectRepair::resume(device(), CHALLENGED).on_frame(&frame)
}

#[test]
fn repair_needs_certificate_expiry_and_signature() {
    for tag in [Tag::CERTIFICATE, Tag::REPAIR_EXPIRY, Tag::SIGNATURE] {
        assert_malformed(repair_with(tag, None), Malformed::MissingField { tag });
        assert_malformed(repair_with(tag, Some(&[])), Malformed::FieldLength { tag, found: 0 });
    }
    let tag = Tag::INTERMEDIATES;
    assert_malformed(repair_with(tag, Some(&[0x31, 0])), Malformed::FieldValue { tag });
}

#[test]
fn expiry_that_is_no_time_is_malformed() {
    for no_time in [BcdTime::UNKNOWN, [0x26, 0x02, 0x30, 0, 0, 0], [0x26, 0x11, 0x20, 0x24, 0, 0], [0xFF; 6]]
    {
        assert_malformed(repair_with(Tag::REPAIR_EXPIRY, Some(&no_time)), Malformed::BcdTime);
    }
}

#[test]
fn challenge_has_16_bytes() {
    let challenge = |value| {
        let good: [(Tag, &[u8]); 1] = [(Tag::SERIAL, b"SN-1001")];
        let frame = with(MessageType::RepairChallenge, &good, Tag::REPAIR_CHALLENGE, value);
        Start::new().begin().unwrap().1.on_frame(&frame)
    };
    let tag = Tag::REPAIR_CHALLENGE;
    assert!(challenge(Some(&[1; 16])).is_ok());
    assert_malformed(challenge(None), Malformed::MissingField { tag });
    for found in [0, 15, 17] {
        assert_malformed(challenge(Some(&[1; 17][..found])), Malformed::FieldLength { tag, found });
    }
}

#[test]
fn every_reason_has_its_code_of_section_8() {
    every_reason_has_its_code::<Reason>([
        (ProtocolError::from(Malformed::BcdTime).into(), ErrorCode::Malformed),
        (ProtocolError::Timeout.into(), ErrorCode::Timeout),
        (Reason::CertificateRefused { why: why() }, ErrorCode::CertificateRefused),
        (Reason::WrongSignature, ErrorCode::ServerAuthenticationFailed),
        (Reason::Expired { expiry: expiry() }, ErrorCode::NotPermittedNow),
        (Reason::NotPermitted { why: why() }, ErrorCode::NotPermittedNow),
        (Reason::UnknownTerminal { sn: device().sn().clone() }, ErrorCode::UnknownTerminal),
        (Reason::Internal { why: why() }, ErrorCode::Internal),
    ]);
}
