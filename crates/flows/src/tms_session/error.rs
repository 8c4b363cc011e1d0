//! Why a session with the TMS ends, and the code for each reason (2-wire.md section 8).

use alloc::string::String;

use wire::{ErrorCode, Serial, Src, Suite};

use crate::{HasCode, LoadingReason, PadRefusal, ProtocolError};

/// Why a session, or the attempt at one, ended. Some reasons only the driver can find; they are here because their code
/// is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// What can go wrong in any flow.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// Terminal: its PIN pad refused; the code is the refusal's.
    #[error("the PIN pad refused: {0}")]
    Pad(#[from] PadRefusal),
    /// Terminal: the TMS refused. Both sides close; an ERROR does not follow.
    #[error("the TMS refused: {src}")]
    ReturnCode {
        /// What the TMS said.
        src: Src,
    },
    /// Terminal: the acquirer demands an operator, and none was given: 0008.
    #[error("the acquirer demands an operator; give one with a password and begin again")]
    OperatorDemanded,
    /// TMS: no such vendor, or none of its models: SRC 01.
    #[error("vendor or model is not known here")]
    UnknownVendorOrModel,
    /// TMS: another version of the protocol: SRC 02.
    #[error("the terminal speaks another version of the TMS protocol")]
    VersionNotSupported,
    /// TMS: another transaction than 0001 and 0002: SRC 03.
    #[error("the transaction code is none that this TMS has")]
    TransactionNotSupported,
    /// TMS: the acquirer's policy does not allow this proven terminal to go on: SRC 04.
    #[error("terminal not allowed: {why}")]
    NotAllowed {
        /// What does not allow it.
        why: String,
    },
    /// TMS: T_DATA's time is off by more than 24 hours: SRC 05, where the acquirer asks for the check.
    #[error("the terminal's clock is off by more than 24 hours")]
    DateOutOfRange,
    /// TMS: no terminal has this serial: SRC 06, only after TMS_PROOF.
    #[error("no terminal has the serial {sn}")]
    UnknownTerminal {
        /// The serial that TMS_HELLO named.
        sn: Serial,
    },
    /// TMS: terminal and PIN pad are not the recorded pair: SRC 06, only after TMS_PROOF.
    #[error("{sn} is not recorded with the PIN pad {pin_pad}")]
    WrongPinPad {
        /// The terminal that TMS_HELLO named.
        sn: Serial,
        /// The PIN pad that it named.
        pin_pad: Serial,
    },
    /// TMS: the terminal has no DMK here: SRC 06, only after TMS_PROOF.
    #[error("{sn} has no DMK here; load one by local loading")]
    NoDmk {
        /// The serial that TMS_HELLO named.
        sn: Serial,
    },
    /// TMS: SAC_1 is not MAC(DWK, S_DATA), or in suite 02 DF15 not MAC_T, says the HSM: SRC 06.
    #[error("the proof in TMS_PROOF is wrong: the terminal does not hold its DMK")]
    WrongSac1,
    /// TMS: TMS_PROOF says that the terminal's own check failed: SRC 06.
    #[error("the terminal says that TMS_CHALLENGE did not prove this TMS")]
    TerminalFailed,
    /// TMS: the operator is missing, unknown, locked, or the proof is wrong: SRC 07, only to a proven terminal.
    #[error("operator refused: {why}")]
    OperatorRefused {
        /// What is wrong; never the password.
        why: String,
    },
    /// TMS: a proven terminal asked for a suite that this side has not: 0009.
    #[error("suite {suite} is not supported in this flow")]
    SuiteNotSupported {
        /// The suite that TMS_HELLO named.
        suite: Suite,
    },
    /// TMS: KEY_CONFIRM has another check value than the key that was sent, or in suite 02 a wrong receipt: 0007. The key
    /// stays pending, the audit has an alarm.
    #[error("KEY_CONFIRM does not confirm the key that was sent; the key stays pending")]
    WrongCheckValue,
    /// TMS: state or policy does not allow it: 0008.
    #[error("not permitted now: {why}")]
    NotPermitted {
        /// What does not allow it.
        why: String,
    },
    /// TMS: another download for the same slot was faster: 000B.
    #[error("another download for this slot was faster")]
    AnotherWon,
    /// TMS: too many sessions at once, for this serial, source or server: 000B.
    #[error("too many sessions at once")]
    TooMany,
    /// Something that this side relies on failed or gave what it must not: 0001, or SRC 96.
    #[error("internal: {why}")]
    Internal {
        /// What failed, without key material.
        why: String,
    },
}

impl Reason {
    /// The SRC with which a TMS says it in TMS_CHALLENGE or TMS_KEY; nothing where an ERROR says it.
    pub fn src(&self) -> Option<Src> {
        match self {
            Self::UnknownVendorOrModel => Some(Src::UnknownVendorOrModel),
            Self::VersionNotSupported => Some(Src::VersionNotSupported),
            Self::TransactionNotSupported => Some(Src::TransactionNotSupported),
            Self::NotAllowed { .. } => Some(Src::TerminalNotAllowed),
            Self::DateOutOfRange => Some(Src::DateOutOfRange),
            Self::UnknownTerminal { .. }
            | Self::WrongPinPad { .. }
            | Self::NoDmk { .. }
            | Self::WrongSac1
            | Self::TerminalFailed => Some(Src::AuthenticationFailed),
            Self::OperatorRefused { .. } => Some(Src::OperatorRefused),
            Self::Internal { .. } => Some(Src::SystemError),
            Self::Protocol(_)
            | Self::Pad(_)
            | Self::ReturnCode { .. }
            | Self::OperatorDemanded
            | Self::SuiteNotSupported { .. }
            | Self::WrongCheckValue
            | Self::NotPermitted { .. }
            | Self::AnotherWon
            | Self::TooMany => None,
        }
    }
}

impl HasCode for Reason {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Protocol(error) => error.code(),
            Self::Pad(refusal) => refusal.code(),
            Self::ReturnCode { src: Src::AuthenticationFailed }
            | Self::UnknownTerminal { .. }
            | Self::WrongPinPad { .. }
            | Self::NoDmk { .. }
            | Self::WrongSac1
            | Self::TerminalFailed => ErrorCode::TerminalAuthenticationFailed,
            Self::ReturnCode { src: Src::SystemError } | Self::Internal { .. } => ErrorCode::Internal,
            Self::SuiteNotSupported { .. } => ErrorCode::SuiteNotSupported,
            Self::WrongCheckValue => ErrorCode::KeyRefused,
            Self::ReturnCode { .. }
            | Self::OperatorDemanded
            | Self::UnknownVendorOrModel
            | Self::VersionNotSupported
            | Self::TransactionNotSupported
            | Self::NotAllowed { .. }
            | Self::DateOutOfRange
            | Self::OperatorRefused { .. }
            | Self::NotPermitted { .. } => ErrorCode::NotPermittedNow,
            Self::AnotherWon | Self::TooMany => ErrorCode::Busy,
        }
    }

    fn protocol(&self) -> Option<&ProtocolError> {
        match self {
            Self::Protocol(error) => Some(error),
            _ => None,
        }
    }

    fn peer_has_closed(&self) -> bool {
        matches!(self, Self::ReturnCode { .. })
    }
}

impl LoadingReason for Reason {
    fn wrong_check_value() -> Self {
        Self::WrongCheckValue
    }
}
