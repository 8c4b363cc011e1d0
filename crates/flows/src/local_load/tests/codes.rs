//! The one code of every reason.

use wire::{ErrorCode, Malformed, Serial, Suite};

use crate::{
    PadRefusal, ProtocolError,
    local_load::Reason,
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
        (Reason::CertificateRefused { why: why() }, ErrorCode::CertificateRefused),
        (Reason::SuiteNotSupported { suite: Suite::EC_AES }, ErrorCode::SuiteNotSupported),
        (Reason::NotPermitted { why: why() }, ErrorCode::NotPermittedNow),
        (Reason::UnknownTerminal { sn: sn() }, ErrorCode::UnknownTerminal),
        (Reason::NotInRun { sn: sn() }, ErrorCode::NotPermittedNow),
        (Reason::AlreadyServed { sn: sn() }, ErrorCode::NotPermittedNow),
        (Reason::RandomsRefused { why: why() }, ErrorCode::Malformed),
        (Reason::DeviceNotProven, ErrorCode::TerminalAuthenticationFailed),
        (Reason::PointRefused { why: why() }, ErrorCode::Malformed),
        (Reason::WrongCheckValue, ErrorCode::KeyRefused),
        (Reason::Internal { why: why() }, ErrorCode::Internal),
    ]);
}
