//! The one code of every reason.

use wire::{ErrorCode, Malformed};

use super::package;
use crate::{
    PadRefusal, ProtocolError,
    testing::{every_reason_has_its_code, why},
    tms_download::{Exhausted, Reason},
};

#[test]
fn every_reason_has_its_code_of_section_8() {
    let id = package("pay-app", "1.2.0");
    every_reason_has_its_code::<Reason>([
        (ProtocolError::from(Malformed::TagTruncated).into(), ErrorCode::Malformed),
        (ProtocolError::Timeout.into(), ErrorCode::Timeout),
        (PadRefusal::Malformed(Malformed::TagTruncated).into(), ErrorCode::Malformed),
        (PadRefusal::ServerNotProven { why: why() }.into(), ErrorCode::ServerAuthenticationFailed),
        (PadRefusal::KeyRefused { why: why() }.into(), ErrorCode::KeyRefused),
        (PadRefusal::NotPermitted { why: why() }.into(), ErrorCode::NotPermittedNow),
        (PadRefusal::Failed { why: why() }.into(), ErrorCode::Internal),
        (Exhausted.into(), ErrorCode::Busy),
        (Reason::NotAuthentic, ErrorCode::TerminalAuthenticationFailed),
        (Reason::NotOffered { name: id.name, version: id.version }, ErrorCode::NotPermittedNow),
        (Reason::PastTheEnd { offset: 7, size: 7 }, ErrorCode::NotPermittedNow),
        (Reason::OtherData { why: "it has another offset" }, ErrorCode::Malformed),
        (Reason::NotPermitted { why: why() }, ErrorCode::NotPermittedNow),
        (Reason::Busy { why: why() }, ErrorCode::Busy),
        (Reason::Internal { why: why() }, ErrorCode::Internal),
    ]);
}
