//! The one code of every reason, and that its ERROR says no more than that.

use wire::{ErrorCode, Malformed, Serial, Suite, error_frame};

use crate::{
    ProtocolError,
    tmk_download::{Fault, PadRefusal, Reason},
};

#[test]
fn every_reason_has_its_code_of_section_8() {
    let sn = Serial::parse("SN-1001").unwrap();
    let why = || "a reason that is for the audit".into();
    for (reason, code) in [
        (ProtocolError::from(Malformed::TagTruncated).into(), ErrorCode::Malformed),
        (
            ProtocolError::from(Malformed::UnknownMessageType { found: 7 }).into(),
            ErrorCode::UnexpectedMessage,
        ),
        (ProtocolError::Timeout.into(), ErrorCode::Timeout),
        (ProtocolError::Unwritable(Malformed::FrameTooLong { length: 70_000 }).into(), ErrorCode::Internal),
        (PadRefusal::Malformed(Malformed::TagTruncated).into(), ErrorCode::Malformed),
        (PadRefusal::ServerNotProven.into(), ErrorCode::ServerAuthenticationFailed),
        (PadRefusal::KeyRefused { why: why() }.into(), ErrorCode::KeyRefused),
        (PadRefusal::NotPermitted { why: why() }.into(), ErrorCode::NotPermittedNow),
        (PadRefusal::Failed { why: why() }.into(), ErrorCode::Internal),
        (Reason::UnknownTerminal { sn: sn.clone() }, ErrorCode::TerminalAuthenticationFailed),
        (Reason::WrongPinPad { sn: sn.clone(), pin_pad: sn }, ErrorCode::TerminalAuthenticationFailed),
        (Reason::WrongCrnd2, ErrorCode::TerminalAuthenticationFailed),
        (Reason::SuiteNotSupported { suite: Suite::EC_AES }, ErrorCode::SuiteNotSupported),
        (Reason::WrongCheckValue, ErrorCode::KeyRefused),
        (Reason::NotPermitted { why: why() }, ErrorCode::NotPermittedNow),
        (Reason::AnotherWon, ErrorCode::Busy),
        (Reason::TooMany, ErrorCode::Busy),
        (Reason::Internal { why: why() }, ErrorCode::Internal),
    ] {
        let fault = Fault::from(reason);
        assert_eq!(fault.code, code, "{fault}");
        assert_eq!(fault.answer(), Some(error_frame(code, code.text())));
        assert_eq!(fault.answer_with("see status"), Some(error_frame(code, "see status")));
    }
}
