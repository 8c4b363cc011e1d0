//! Why a TMK download ends, and the code for each reason (2-wire.md section 8).

use alloc::string::String;

use wire::{ErrorCode, Malformed, Serial, Suite};

use crate::{HasCode, LoadingReason, ProtocolError};

/// Why a TMK download ended. Some reasons only the driver can find; they are here because their code is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// What can go wrong in any flow.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The terminal's PIN pad refused; the code is the refusal's.
    #[error("the PIN pad refused: {0}")]
    Pad(#[from] PadRefusal),
    /// KMS: no terminal has this serial: 0006, only after TK_REPLY.
    #[error("no terminal has the serial {sn}")]
    UnknownTerminal {
        /// The serial that TK_HELLO named.
        sn: Serial,
    },
    /// KMS: terminal and PIN pad are not the recorded pair: 0006, only after TK_REPLY.
    #[error("{sn} is not recorded with the PIN pad {pin_pad}")]
    WrongPinPad {
        /// The terminal that TK_HELLO named.
        sn: Serial,
        /// The PIN pad that it named.
        pin_pad: Serial,
    },
    /// KMS: the terminal's TK is of another suite, so that it can prove nothing in this one: 0006, only after TK_REPLY.
    #[error("the transport key of {sn} is not one of suite {suite}")]
    OtherSuite {
        /// The serial that TK_HELLO named.
        sn: Serial,
        /// The suite that it named.
        suite: Suite,
    },
    /// KMS: Crnd2 is not E(AUK, Rnd2), in suite 02 MAC_T is wrong, says the HSM: 0006.
    #[error("the answer to the challenge is wrong: the terminal does not hold the collected transport key")]
    WrongCrnd2,
    /// KMS: a proven terminal asked for a suite that this side has not: 0009.
    #[error("suite {suite} is not supported in this flow")]
    SuiteNotSupported {
        /// The suite that TK_HELLO named.
        suite: Suite,
    },
    /// KMS: KEY_CONFIRM has another check value than the key that was sent: 0007. The key stays pending, the audit has
    /// an alarm.
    #[error("KEY_CONFIRM has a wrong check value; the key stays pending")]
    WrongCheckValue,
    /// KMS: state or policy does not allow it: 0008.
    #[error("not permitted now: {why}")]
    NotPermitted {
        /// What does not allow it.
        why: String,
    },
    /// KMS: another download for the same slot was faster: 000B.
    #[error("another download for this slot was faster")]
    AnotherWon,
    /// KMS: too many downloads at once, for this serial, source or server: 000B.
    #[error("too many downloads at once")]
    TooMany,
    /// Something that this side relies on failed or gave what it must not: 0001.
    #[error("internal: {why}")]
    Internal {
        /// What failed, without key material.
        why: String,
    },
}

/// Why a PIN pad does not take a step of a TMK download. The texts are for the terminal's own log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PadRefusal {
    /// A frame cannot be read, or Rnd2 has the wrong top bit: 0002.
    #[error("malformed: {0}")]
    Malformed(#[from] Malformed),
    /// Crnd1 is not E(AUK, Rnd1) for the Rnd1 that this PIN pad made, in suite 02 MAC_S or DONE's receipt is wrong: 0005.
    #[error("the server's proof is wrong: it does not hold this terminal's transport key")]
    ServerNotProven,
    /// The key block does not open, or is not in its place, time or use; or the key is weak: 0007.
    #[error("key refused: {why}")]
    KeyRefused {
        /// What is wrong with it.
        why: String,
    },
    /// State, tamper, owner or an order of calls does not allow it: 0008.
    #[error("not permitted now: {why}")]
    NotPermitted {
        /// What does not allow it.
        why: String,
    },
    /// A download in a higher suite was completed for this slot: 0009, until a repair authorisation.
    #[error("suite not supported: {why}")]
    SuiteNotSupported {
        /// What was completed.
        why: String,
    },
    /// The PIN pad failed, for instance could not write its state: 0001.
    #[error("PIN pad failed: {why}")]
    Failed {
        /// What failed, without key material.
        why: String,
    },
}

impl From<crate::PadRefusal> for PadRefusal {
    fn from(refusal: crate::PadRefusal) -> PadRefusal {
        match refusal {
            crate::PadRefusal::Malformed(malformed) => Self::Malformed(malformed),
            crate::PadRefusal::ServerNotProven { .. } => Self::ServerNotProven,
            crate::PadRefusal::KeyRefused { why } => Self::KeyRefused { why },
            crate::PadRefusal::NotPermitted { why } => Self::NotPermitted { why },
            crate::PadRefusal::SuiteNotSupported { why } => Self::SuiteNotSupported { why },
            crate::PadRefusal::Failed { why } => Self::Failed { why },
        }
    }
}

impl PadRefusal {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Malformed(malformed) => malformed.code(),
            Self::ServerNotProven => ErrorCode::ServerAuthenticationFailed,
            Self::KeyRefused { .. } => ErrorCode::KeyRefused,
            Self::NotPermitted { .. } => ErrorCode::NotPermittedNow,
            Self::SuiteNotSupported { .. } => ErrorCode::SuiteNotSupported,
            Self::Failed { .. } => ErrorCode::Internal,
        }
    }
}

impl HasCode for Reason {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Protocol(error) => error.code(),
            Self::Pad(refusal) => refusal.code(),
            Self::UnknownTerminal { .. }
            | Self::WrongPinPad { .. }
            | Self::OtherSuite { .. }
            | Self::WrongCrnd2 => ErrorCode::TerminalAuthenticationFailed,
            Self::SuiteNotSupported { .. } => ErrorCode::SuiteNotSupported,
            Self::WrongCheckValue => ErrorCode::KeyRefused,
            Self::NotPermitted { .. } => ErrorCode::NotPermittedNow,
            Self::AnotherWon | Self::TooMany => ErrorCode::Busy,
            Self::Internal { .. } => ErrorCode::Internal,
        }
    }

    fn protocol(&self) -> Option<&ProtocolError> {
        match self {
            Self::Protocol(error) => Some(error),
            _ => None,
        }
    }
}

impl From<PadRefusal> for super::Fault {
    fn from(refusal: PadRefusal) -> super::Fault {
        Reason::Pad(refusal).into()
    }
}

impl LoadingReason for Reason {
    fn wrong_check_value() -> Self {
        Self::WrongCheckValue
    }
}
