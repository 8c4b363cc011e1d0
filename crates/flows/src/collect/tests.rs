//! Both roles in memory.

use std::{string::ToString, vec, vec::Vec};

use wire::{Device, ErrorCode, Fields, Frame, Malformed, MessageType, Serial, Suite, Tag, error_frame};

use super::{
    CollectKey, Collected, Fault, Reason,
    messages::{Collect, MAX_INTERMEDIATES},
    station::{ExpectCollected, Start},
    terminal::Ask,
};
use crate::{HasCode, ProtocolError};

/// What looks like a certificate to the cutting apart: a SEQUENCE with so many bytes inside.
fn der(inside: usize) -> Vec<u8> {
    let header = match inside {
        0..=0x7F => vec![0x30, inside.try_into().unwrap()],
        0x80..=0xFF => vec![0x30, 0x81, inside.try_into().unwrap()],
        _ => [&[0x30, 0x82], &u16::try_from(inside).unwrap().to_be_bytes()[..]].concat(),
    };
    [header, vec![0xCE; inside]].concat()
}

fn certificate(intermediates: &[usize]) -> CollectKey {
    CollectKey::Certificate {
        leaf: der(700),
        intermediates: intermediates.iter().map(|size| der(*size)).collect(),
    }
}

fn collected() -> Collected {
    Collected {
        device: Device::built_in(Serial::parse("SN-1001").unwrap()),
        vendor: Some("KF".parse().unwrap()),
        model: Some("SIM-1".parse().unwrap()),
        ctk_pu: vec![0; 256],
        maker: (),
        refusals: Vec::new(),
    }
}

fn begin() -> (Frame, ExpectCollected) {
    Start::new(certificate(&[]), 256).begin().unwrap()
}

fn frame(kind: MessageType, fields: &[(Tag, &[u8])]) -> Frame {
    let mut all = Fields::new();
    fields.iter().for_each(|(tag, value)| all.push(*tag, value).unwrap());
    Frame::new(kind, &all).unwrap()
}

#[track_caller]
fn assert_malformed<T: core::fmt::Debug>(result: Result<T, Fault>, expected: Malformed) {
    let fault = result.unwrap_err();
    assert_eq!(fault.reason, Reason::Protocol(ProtocolError::Malformed(expected)));
    assert_eq!(fault.code, ErrorCode::Malformed);
}

#[test]
fn station_collects_what_the_terminal_answers() {
    let key = certificate(&[0, 127, 128, 255, 256, 900]);
    let (collect, station) = Start::new(key.clone(), 256).begin().unwrap();
    let ask = <Ask>::read(&collect).unwrap();
    assert_eq!((ask.suite(), ask.key()), (Suite::TDES, &key));
    let answer = ask.answer(&collected()).unwrap();
    let got = station.on_frame(&answer).unwrap();
    assert_eq!(got, collected());
    // Origin: vectors/tdes-suite.json, flow_a, "fingerprint".
    assert_eq!(got.fingerprint(), "3D7CE412CF6B9CA25CDF");
}

#[test]
fn bare_key_travels_in_place_of_the_certificate() {
    let key = CollectKey::BareKey(der(290));
    let (collect, _) = Start::new(key.clone(), 256).begin().unwrap();
    assert_eq!(<Ask>::read(&collect).unwrap().key(), &key);
}

#[test]
fn digest_tells_certificates_apart_and_not_their_intermediates() {
    let digest = |key: CollectKey| {
        let (collect, _) = Start::new(key, 256).begin().unwrap();
        <Ask>::read(&collect).unwrap().digest()
    };
    let other = CollectKey::Certificate { leaf: der(701), intermediates: Vec::new() };
    assert_eq!(digest(certificate(&[])), digest(certificate(&[5])));
    assert_ne!(digest(certificate(&[])), digest(other));
    assert_ne!(digest(certificate(&[])), digest(CollectKey::BareKey(der(700))));
}

#[test]
fn external_pin_pad_and_refusal_records_are_collected_too() {
    let mut record = Fields::new();
    record.push(Tag::REFUSAL_CHECK, b"voltage").unwrap();
    record.push(Tag::REFUSAL_READING, b"2.1 V").unwrap();
    record.push(Tag::REFUSAL_WHEN, &[0x26, 0x11, 0x20, 0x12, 0x34, 0x56]).unwrap();
    let sn = Serial::parse("SN-1").unwrap();
    let device = Device::new(sn, Some(Serial::parse("PP-1").unwrap())).unwrap();
    let sent = Collected { device, vendor: None, model: None, refusals: vec![record], ..collected() };
    let (collect, station) = begin();
    let answer = <Ask>::read(&collect).unwrap().answer(&sent).unwrap();
    assert_eq!(station.on_frame(&answer).unwrap(), sent);
}

#[test]
fn every_other_message_is_0003_for_both_roles() {
    for found in MessageType::ALL.iter().copied().filter(|kind| *kind != MessageType::Error) {
        let empty = Frame::new(found, &Fields::new()).unwrap();
        for (expected, result) in [
            (MessageType::Collect, <Ask>::read(&empty).map(drop)),
            (MessageType::Collected, begin().1.on_frame(&empty).map(drop)),
        ] {
            let fault = result.unwrap_err();
            if found == expected {
                assert_eq!(fault.code, ErrorCode::Malformed, "{found} without fields");
            } else {
                assert_eq!(fault.reason.protocol(), Some(&ProtocolError::Unexpected { expected, found }));
                assert_eq!(fault.code, ErrorCode::UnexpectedMessage);
            }
        }
    }
}

#[test]
fn error_of_the_terminal_reaches_the_station_with_code_and_text() {
    for code in ErrorCode::ALL {
        let fault = begin().1.on_frame(&error_frame(*code, "lid is open")).unwrap_err();
        assert_eq!((fault.code, fault.answer()), (*code, None));
        let error = fault.peer_error().unwrap();
        assert_eq!((error.known_code(), error.text.as_str()), (Some(*code), "lid is open"));
        assert_eq!(<Ask>::read(&error_frame(*code, "")).unwrap_err().answer(), None);
    }
}

#[test]
fn error_with_a_code_that_nobody_knows_keeps_its_number() {
    let fields: [(Tag, &[u8]); 1] = [(Tag::ERROR_CODE, &[0x12, 0x34])];
    let fault = begin().1.on_frame(&frame(MessageType::Error, &fields)).unwrap_err();
    assert_eq!((fault.code, fault.peer_error().unwrap().code), (ErrorCode::Internal, 0x1234));
    assert!(fault.to_string().contains("1234"));
}

fn ask(fields: &[(Tag, &[u8])]) -> Result<Ask, Fault> {
    <Ask>::read(&frame(MessageType::Collect, fields))
}

const SUITE: (Tag, &[u8]) = (Tag::SUITE, &[1]);

#[test]
fn collect_needs_a_suite_of_one_byte() {
    let leaf: (Tag, &[u8]) = (Tag::CERTIFICATE, &[0x30, 0]);
    assert_malformed(ask(&[leaf]), Malformed::MissingField { tag: Tag::SUITE });
    for value in [&[][..], &[1, 1]] {
        let wrong = Malformed::FieldLength { tag: Tag::SUITE, found: value.len() };
        assert_malformed(ask(&[(Tag::SUITE, value), leaf]), wrong);
    }
    assert_eq!(ask(&[(Tag::SUITE, &[2]), leaf]).unwrap().suite(), Suite::EC_AES);
}

#[test]
fn collect_has_a_certificate_or_a_bare_key_and_not_both() {
    let leaf: (Tag, &[u8]) = (Tag::CERTIFICATE, &[0x30, 0]);
    let chain: (Tag, &[u8]) = (Tag::INTERMEDIATES, &[0x30, 0]);
    let bare: (Tag, &[u8]) = (Tag::BARE_KEY, &[0x30, 0]);
    for good in [&[SUITE, leaf][..], &[SUITE, leaf, chain], &[SUITE, bare]] {
        assert!(ask(good).is_ok());
    }
    assert_malformed(ask(&[SUITE]), Malformed::MissingField { tag: Tag::CERTIFICATE });
    assert_malformed(ask(&[SUITE, leaf, bare]), Malformed::UnwantedField { tag: Tag::BARE_KEY });
    assert_malformed(ask(&[SUITE, leaf, chain, bare]), Malformed::UnwantedField { tag: Tag::BARE_KEY });
    assert_malformed(ask(&[SUITE, chain]), Malformed::UnwantedField { tag: Tag::INTERMEDIATES });
    assert_malformed(ask(&[SUITE, chain, bare]), Malformed::UnwantedField { tag: Tag::INTERMEDIATES });
    for tag in [Tag::CERTIFICATE, Tag::BARE_KEY] {
        assert_malformed(ask(&[SUITE, (tag, &[])]), Malformed::FieldLength { tag, found: 0 });
    }
}

#[test]
fn intermediates_are_cut_apart_strictly() {
    let refused = Malformed::FieldValue { tag: Tag::INTERMEDIATES };
    for bad in [
        &[0x30][..],
        &[0x31, 0],
        &[0x30, 1],
        &[0x30, 0, 0],
        &[0x30, 0x80, 0, 0],
        &[0x30, 0x81, 0x7F],
        &[0x30, 0x82, 0, 0x80],
        &[0x30, 0x83, 1, 0, 0],
        &der(128)[..130],
        &der(256)[..259],
    ] {
        let fields = [SUITE, (Tag::CERTIFICATE, &[0x30, 0]), (Tag::INTERMEDIATES, bad)];
        assert_malformed(ask(&fields), refused);
    }
    // Lengths in a longer form than needed, with all their bytes there.
    for (header, size) in [(&[0x30, 0x81, 0x7F][..], 0x7F), (&[0x30, 0x82, 0, 0xFF], 0xFF)] {
        let bad = [header, &vec![0; size]].concat();
        let fields = [SUITE, (Tag::CERTIFICATE, &[0x30, 0]), (Tag::INTERMEDIATES, &bad)];
        assert_malformed(ask(&fields), refused);
    }
}

#[test]
fn eight_intermediates_are_allowed_and_nine_not() {
    for (count, allowed) in [(MAX_INTERMEDIATES, true), (MAX_INTERMEDIATES + 1, false)] {
        let frame =
            Collect::<crate::Tdes> { suite: Suite::TDES, key: certificate(&vec![3; count]), nonce: () }
                .write()
                .unwrap();
        assert_eq!(<Ask>::read(&frame).is_ok(), allowed, "{count}");
    }
}

#[test]
fn ctk_pu_has_the_length_of_the_modulus() {
    for (modulus, length, good) in
        [(256, 256, true), (256, 255, false), (256, 257, false), (512, 512, true), (384, 256, false)]
    {
        let (_, station) = Start::new(certificate(&[]), modulus).begin().unwrap();
        let answer = Collected { ctk_pu: vec![7; length], ..collected() }.write().unwrap();
        match station.on_frame(&answer) {
            Ok(_) => assert!(good),
            Err(fault) => {
                assert!(!good);
                assert_eq!(fault.reason, Reason::CtkPuLength { expected: modulus, found: length });
                assert_eq!(fault.code, ErrorCode::Malformed);
            }
        }
    }
}

#[test]
fn modulus_has_2048_to_4096_bits() {
    for (modulus, good) in [(255, false), (256, true), (512, true), (513, false)] {
        assert_eq!(Start::new(certificate(&[]), modulus).begin().is_ok(), good, "{modulus}");
    }
}

fn answer(fields: &[(Tag, &[u8])]) -> Result<Collected, Fault> {
    begin().1.on_frame(&frame(MessageType::Collected, fields))
}

const CTK_PU: (Tag, &[u8]) = (Tag::CTK_PU, &[0; 256]);
const SN: (Tag, &[u8]) = (Tag::SERIAL, b"SN-1001");

#[test]
fn collected_needs_serial_and_ctk_pu() {
    assert!(answer(&[SN, CTK_PU]).is_ok());
    assert_malformed(answer(&[CTK_PU]), Malformed::MissingField { tag: Tag::SERIAL });
    assert_malformed(answer(&[SN]), Malformed::MissingField { tag: Tag::CTK_PU });
    let empty = Malformed::FieldLength { tag: Tag::CTK_PU, found: 0 };
    assert_malformed(answer(&[SN, (Tag::CTK_PU, &[])]), empty);
    assert_malformed(answer(&[(Tag::SERIAL, b"S N"), CTK_PU]), Malformed::IdentifierCharacter);
}

#[test]
fn collected_with_pin_pad_serial_equal_to_terminal_serial_is_malformed() {
    let same = answer(&[SN, (Tag::PIN_PAD_SERIAL, b"SN-1001"), CTK_PU]);
    assert_malformed(same, Malformed::PinPadEqualsTerminal);
}

#[test]
fn vendor_and_model_come_together_and_in_their_form() {
    let vendor: (Tag, &[u8]) = (Tag::VENDOR_ID, b"KF");
    let model: (Tag, &[u8]) = (Tag::MODEL_ID, b"SIM-1");
    assert!(answer(&[SN, vendor, model, CTK_PU]).is_ok());
    assert_malformed(answer(&[SN, vendor, CTK_PU]), Malformed::MissingField { tag: Tag::MODEL_ID });
    assert_malformed(answer(&[SN, model, CTK_PU]), Malformed::MissingField { tag: Tag::VENDOR_ID });
    let long = answer(&[SN, (Tag::VENDOR_ID, b"123456789"), model, CTK_PU]);
    assert_malformed(long, Malformed::IdentifierLength { found: 9, max: 8 });
    let long = answer(&[SN, vendor, (Tag::MODEL_ID, b"123456789012345678901"), CTK_PU]);
    assert_malformed(long, Malformed::IdentifierLength { found: 21, max: 20 });
}

#[test]
fn unlisted_field_is_skipped_by_both_roles() {
    let unlisted: (Tag, &[u8]) = (Tag::new(0xDF7F).unwrap(), &[1]);
    assert!(answer(&[SN, unlisted, CTK_PU]).is_ok());
    assert!(ask(&[SUITE, unlisted, (Tag::CERTIFICATE, &[0x30, 0])]).is_ok());
}

#[test]
fn every_reason_has_its_code_of_section_8() {
    let why = || "a reason that is for the audit".into();
    for (reason, code) in [
        (Reason::CertificateRefused { why: why() }, ErrorCode::CertificateRefused),
        (Reason::BareKeyNotAllowed, ErrorCode::CertificateRefused),
        (Reason::SuiteNotSupported { suite: Suite::EC_AES }, ErrorCode::SuiteNotSupported),
        (Reason::OtherCertificate, ErrorCode::NotPermittedNow),
        (Reason::NotPermitted { why: why() }, ErrorCode::NotPermittedNow),
        (Reason::CtkPuLength { expected: 256, found: 1 }, ErrorCode::Malformed),
        (Reason::UnknownTerminal { sn: "SN-1".parse().unwrap() }, ErrorCode::UnknownTerminal),
        (Reason::Internal { why: why() }, ErrorCode::Internal),
        (ProtocolError::Timeout.into(), ErrorCode::Timeout),
    ] {
        let fault = Fault::from(reason);
        assert_eq!((fault.code, fault.answer()), (code, Some(error_frame(code, code.text()))), "{fault}");
    }
}
