//! The one code of every reason.

use wire::{ErrorCode, Malformed, Serial, Slot, Suite};

use crate::{
    PadRefusal, ProtocolError,
    rks_load::Reason,
    testing::{every_reason_has_its_code, why},
};

#[test]
fn every_reason_has_its_code_of_section_8() {
    let sn = || Serial::parse("SN-1001").unwrap();
    every_reason_has_its_code::<Reason>([
        (ProtocolError::from(Malformed::TagTruncated).into(), ErrorCode::Malformed),
        (ProtocolError::Timeout.into(), ErrorCode::Timeout),
        (PadRefusal::Malformed(Malformed::TagTruncated).into(), ErrorCode::Malformed),
        (PadRefusal::ServerNotProven { why: why() }.into(), ErrorCode::ServerAuthenticationFailed),
        (PadRefusal::KeyRefused { why: why() }.into(), ErrorCode::KeyRefused),
        (PadRefusal::NotPermitted { why: why() }.into(), ErrorCode::NotPermittedNow),
        (PadRefusal::SuiteNotSupported { why: why() }.into(), ErrorCode::SuiteNotSupported),
        (PadRefusal::Failed { why: why() }.into(), ErrorCode::Internal),
        (Reason::CertificateRefused { why: why() }, ErrorCode::ServerAuthenticationFailed),
        (Reason::UnknownTerminal { sn: sn() }, ErrorCode::TerminalAuthenticationFailed),
        (Reason::WrongPinPad { sn: sn(), pin_pad: sn() }, ErrorCode::TerminalAuthenticationFailed),
        (Reason::NotProven { why: why() }, ErrorCode::TerminalAuthenticationFailed),
        (Reason::SuiteNotSupported { suite: Suite::EC_AES }, ErrorCode::SuiteNotSupported),
        (Reason::NoKey { slot: Slot::new(3).unwrap() }, ErrorCode::NoKeyForSlot),
        (Reason::WrongCheckValue, ErrorCode::KeyRefused),
        (Reason::NotPermitted { why: why() }, ErrorCode::NotPermittedNow),
        (Reason::AnotherWon, ErrorCode::Busy),
        (Reason::TooMany, ErrorCode::Busy),
        (Reason::Internal { why: why() }, ErrorCode::Internal),
    ]);
}
