//! What a TMS refuses with an SRC, and what the terminal makes of it.

use wire::{ErrorCode, Malformed, Src, Tag, TmsVersion};

use super::fake::{Pad, Tms, key_download, start, until_challenge, until_proof};
use crate::{
    HasCode,
    testing::assert_malformed,
    tms_session::{
        Fault, Reason,
        messages::{TmsChallenge, TmsHello, TmsKey},
        tms::ExpectHello,
    },
};

fn refusals() -> impl Iterator<Item = Src> {
    Src::ALL.iter().copied().filter(|src| *src != Src::Good)
}

#[track_caller]
fn assert_ended_by(fault: &Fault, pad: &Pad, src: Src) {
    assert_eq!(fault.reason, Reason::ReturnCode { src });
    assert_eq!((fault.answer(), fault.peer_error()), (None, None), "both sides close");
    assert_eq!(pad.calls.last(), Some(&"forget"));
}

#[test]
fn every_src_in_the_challenge_ends_the_session_without_an_answer() {
    for src in refusals() {
        let mut pad = Pad::default();
        let (hello, terminal) = start(key_download()).begin(&mut pad).unwrap();
        let refused = ExpectHello::new().on_frame(&hello).unwrap().refuse(src).unwrap();
        let fault = terminal.on_frame(&mut pad, &refused, None).unwrap_err();
        assert_ended_by(&fault, &pad, src);
        assert!(!pad.calls.contains(&"prove"));
    }
}

#[test]
fn every_src_in_the_key_ends_the_session_without_an_answer() {
    for src in refusals() {
        let (mut pad, mut tms) = (Pad::default(), Tms::default());
        let (terminal, proven, _) = until_proof(&mut pad, &mut tms, key_download());
        let refused = proven.refuse(src).unwrap();
        let fault = terminal.on_frame(&mut pad, &refused).unwrap_err();
        assert_ended_by(&fault, &pad, src);
        assert!(!pad.calls.contains(&"keys"));
    }
}

#[test]
fn refusals_carry_identification_stage_and_src_only() {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (hello, _) = start(key_download()).begin(&mut pad).unwrap();
    let challenge =
        ExpectHello::new().on_frame(&hello).unwrap().refuse(Src::TransactionNotSupported).unwrap();
    let (_, proven, _) = until_proof(&mut pad, &mut tms, key_download());
    let key = proven.refuse(Src::AuthenticationFailed).unwrap();
    for frame in [challenge, key] {
        let fields = frame.message().unwrap().fields;
        let tags: std::vec::Vec<Tag> = fields.iter().map(wire::Field::tag).collect();
        let allowed = [Tag::VENDOR_ID, Tag::MODEL_ID, Tag::SERIAL, Tag::TMS_VERSION, Tag::STAGE, Tag::SRC];
        assert_eq!(tags, allowed);
    }
}

#[test]
fn good_is_no_refusal() {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (hello, _) = start(key_download()).begin(&mut pad).unwrap();
    let fault = ExpectHello::new().on_frame(&hello).unwrap().refuse(Src::Good).unwrap_err();
    assert_eq!(fault.code, ErrorCode::Internal);
    let (_, proven, _) = until_proof(&mut pad, &mut tms, key_download());
    assert_eq!(proven.refuse(Src::Good).unwrap_err().code, ErrorCode::Internal);
}

#[test]
fn transaction_that_nobody_has_is_src_03_and_is_not_challenged() {
    let hello = |digits: &[u8; 4]| {
        let (hello, _) = start(key_download()).begin(&mut Pad::default()).unwrap();
        let unknown =
            TmsHello::<crate::Tdes> { transaction: Err(*digits), ..<TmsHello>::read(&hello).unwrap() };
        ExpectHello::new().on_frame(&unknown.write().unwrap()).unwrap()
    };
    for digits in [b"0000", b"0003", b"9999"] {
        assert_eq!(hello(digits).transaction(), Err(Src::TransactionNotSupported));
        let s_data = wire::SData::new([0; 4], None);
        let fault = hello(digits).challenge([0; 4], &s_data, "B", false).unwrap_err();
        assert_eq!(fault.code, ErrorCode::Internal);
    }
}

/// A TMS of another version cannot know the form of an answer in the terminal's version, so it may name its own.
#[test]
fn only_src_02_may_name_another_version() {
    let other: TmsVersion = "02.00".parse().unwrap();
    for src in refusals() {
        let (mut pad, mut tms) = (Pad::default(), Tms::default());
        let (terminal, _, [hello, _]) = until_challenge(&mut pad, &mut tms, key_download());
        let mut named = <TmsHello>::read(&hello).unwrap().named();
        named.version = other;
        let frame = TmsChallenge::<crate::Tdes> { named: named.clone(), answer: Err(src) }.write().unwrap();
        let result = terminal.on_frame(&mut pad, &frame, None);
        let (terminal, ..) = until_proof(&mut pad, &mut tms, key_download());
        let key = TmsKey::<crate::Tdes> { named, answer: Err(src) }.write().unwrap();
        let at_key = terminal.on_frame(&mut pad, &key).map(drop);
        if src == Src::VersionNotSupported {
            assert_eq!(result.unwrap_err().reason, Reason::ReturnCode { src });
            assert_eq!(at_key.unwrap_err().reason, Reason::ReturnCode { src });
        } else {
            assert_malformed(result, Malformed::FieldValue { tag: Tag::TMS_VERSION });
            assert_malformed(at_key, Malformed::FieldValue { tag: Tag::TMS_VERSION });
        }
    }
}

#[test]
fn reasons_of_a_tms_have_their_src() {
    let sn = || "SN-1001".parse().unwrap();
    let why = crate::testing::why;
    for (reason, src) in [
        (Reason::UnknownVendorOrModel, Some(Src::UnknownVendorOrModel)),
        (Reason::VersionNotSupported, Some(Src::VersionNotSupported)),
        (Reason::TransactionNotSupported, Some(Src::TransactionNotSupported)),
        (Reason::NotAllowed { why: why() }, Some(Src::TerminalNotAllowed)),
        (Reason::DateOutOfRange, Some(Src::DateOutOfRange)),
        (Reason::UnknownTerminal { sn: sn() }, Some(Src::AuthenticationFailed)),
        (Reason::WrongPinPad { sn: sn(), pin_pad: sn() }, Some(Src::AuthenticationFailed)),
        (Reason::NoDmk { sn: sn() }, Some(Src::AuthenticationFailed)),
        (Reason::WrongSac1, Some(Src::AuthenticationFailed)),
        (Reason::TerminalFailed, Some(Src::AuthenticationFailed)),
        (Reason::OperatorRefused { why: why() }, Some(Src::OperatorRefused)),
        (Reason::Internal { why: why() }, Some(Src::SystemError)),
        (Reason::WrongCheckValue, None),
        (Reason::TooMany, None),
        (Reason::AnotherWon, None),
        (Reason::NotPermitted { why: why() }, None),
        (Reason::SuiteNotSupported { suite: wire::Suite::EC_AES }, None),
    ] {
        assert_eq!(reason.src(), src, "{reason}");
        if src == Some(Src::AuthenticationFailed) {
            assert_eq!(reason.code(), ErrorCode::TerminalAuthenticationFailed);
        }
    }
}
