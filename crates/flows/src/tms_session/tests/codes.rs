//! The one code of every reason that an ERROR tells.

use wire::{ErrorCode, Malformed, Serial, Src, Suite};

use crate::{
    Fault, HasCode, PadRefusal, ProtocolError,
    testing::{every_reason_has_its_code, why},
    tms_session::Reason,
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
        (PadRefusal::Failed { why: why() }.into(), ErrorCode::Internal),
        (Reason::OperatorDemanded, ErrorCode::NotPermittedNow),
        (Reason::UnknownVendorOrModel, ErrorCode::NotPermittedNow),
        (Reason::VersionNotSupported, ErrorCode::NotPermittedNow),
        (Reason::TransactionNotSupported, ErrorCode::NotPermittedNow),
        (Reason::NotAllowed { why: why() }, ErrorCode::NotPermittedNow),
        (Reason::DateOutOfRange, ErrorCode::NotPermittedNow),
        (Reason::UnknownTerminal { sn: sn() }, ErrorCode::TerminalAuthenticationFailed),
        (Reason::WrongPinPad { sn: sn(), pin_pad: sn() }, ErrorCode::TerminalAuthenticationFailed),
        (Reason::NoDmk { sn: sn() }, ErrorCode::TerminalAuthenticationFailed),
        (Reason::WrongSac1, ErrorCode::TerminalAuthenticationFailed),
        (Reason::TerminalFailed, ErrorCode::TerminalAuthenticationFailed),
        (Reason::OperatorRefused { why: why() }, ErrorCode::NotPermittedNow),
        (Reason::SuiteNotSupported { suite: Suite::EC_AES }, ErrorCode::SuiteNotSupported),
        (Reason::WrongCheckValue, ErrorCode::KeyRefused),
        (Reason::NotPermitted { why: why() }, ErrorCode::NotPermittedNow),
        (Reason::AnotherWon, ErrorCode::Busy),
        (Reason::TooMany, ErrorCode::Busy),
        (Reason::Internal { why: why() }, ErrorCode::Internal),
    ]);
}

/// The terminal's own end after an SRC: a code for whoever started it, and no ERROR for the TMS.
#[test]
fn src_from_the_tms_has_a_code_and_no_answer() {
    for src in Src::ALL {
        let code = match src {
            Src::AuthenticationFailed => ErrorCode::TerminalAuthenticationFailed,
            Src::SystemError => ErrorCode::Internal,
            _ => ErrorCode::NotPermittedNow,
        };
        let reason = Reason::ReturnCode { src: *src };
        assert!(reason.peer_has_closed());
        let fault = Fault::from(reason);
        assert_eq!((fault.code, fault.answer(), fault.answer_with("no")), (code, None, None));
    }
}
