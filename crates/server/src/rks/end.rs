//! How a device's download ends before its time, and what of that is told and counted.

use flows::rks_load::Reason;
use hsm::{HsmError, Refusal};

use super::suite::Asked;
use crate::flow_end::FlowEnd;

/// Why most peers that proved nothing are refused, in the audit.
pub(super) const PROTOCOL: &str = "protocol error";

/// How a download ended without all keys.
pub(crate) type LoadEnd = FlowEnd<Reason>;

impl From<Reason> for LoadEnd {
    fn from(reason: Reason) -> Self {
        Self::Fault(reason.into())
    }
}

/// Reasons of peers that proved nothing, for the minute's count; what a proven device is refused for has its own event.
pub(super) fn unproved(reason: &Reason) -> Option<String> {
    match reason {
        Reason::UnknownTerminal { .. } => Some("unknown serial".into()),
        Reason::WrongPinPad { .. } => Some("wrong PIN pad serial".into()),
        Reason::NotProven { why } => Some(why.clone()),
        Reason::TooMany => Some("too many open downloads for the serial".into()),
        Reason::Protocol(_) => Some(PROTOCOL.into()),
        _ => None,
    }
}

/// A proof that is wrong is a reason of the flow; whatever else the HSM says is our failure. Where the token was one
/// that nothing opens, the reason is why.
pub(super) fn not_proven(error: Asked, doubt: Option<&str>) -> LoadEnd {
    match error {
        Asked::Hsm(HsmError::Refused(refusal)) if refusal.is_not_proven() => {
            let why = match (doubt, refusal) {
                (Some(doubt), _) => doubt.to_owned(),
                (None, Refusal::DeviceNotProven { why }) => why,
                (None, other) => other.to_string(),
            };
            Reason::NotProven { why }.into()
        }
        Asked::Hsm(other) => other.into(),
        Asked::End(end) => end,
    }
}

#[cfg(test)]
mod tests {
    use wire::ErrorCode;

    use super::*;

    #[test]
    fn only_what_a_peer_did_not_prove_is_counted() {
        let why = || "its AT is another".to_owned();
        assert_eq!(unproved(&Reason::NotProven { why: why() }), Some(why()));
        assert_eq!(unproved(&Reason::WrongCheckValue), None);
        assert_eq!(unproved(&Reason::AnotherWon), None);
        let code = LoadEnd::from(Reason::NotProven { why: why() }).code();
        assert_eq!(code, Some(ErrorCode::TerminalAuthenticationFailed));
    }
}
