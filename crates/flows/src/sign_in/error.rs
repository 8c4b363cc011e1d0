//! Why a sign-in ends, and the code for each reason (2-wire.md section 8).

use alloc::string::String;

use wire::{ErrorCode, Serial, Slot, Suite};

use crate::{HasCode, PadRefusal, ProtocolError};

/// Why a sign-in ended. Some reasons only the driver can find; they are here because their code is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// What can go wrong in any flow.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// Terminal: its PIN pad refused; the code is the refusal's.
    #[error("the PIN pad refused: {0}")]
    Pad(#[from] PadRefusal),
    /// Host: no terminal has this serial: 0006.
    #[error("no terminal has the serial {sn}")]
    UnknownTerminal {
        /// The serial that SIGN_IN named.
        sn: Serial,
    },
    /// Host: terminal and PIN pad are not the recorded pair: 0006.
    #[error("{sn} is not recorded with the PIN pad {pin_pad}")]
    WrongPinPad {
        /// The terminal that SIGN_IN named.
        sn: Serial,
        /// The PIN pad that it named.
        pin_pad: Serial,
    },
    /// Host: the slot holds no TMK: 0006.
    #[error("{sn} has no TMK in slot {slot}")]
    NoTmk {
        /// The serial that SIGN_IN named.
        sn: Serial,
        /// The slot that it named.
        slot: Slot,
    },
    /// Host: no TMK held for the slot has the check value that SIGN_IN named: 0006.
    #[error("{sn} names a TMK in slot {slot} that this host does not hold")]
    OtherTmk {
        /// The serial that SIGN_IN named.
        sn: Serial,
        /// The slot that it named.
        slot: Slot,
    },
    /// Host: the MAC in SIGN_IN_CONFIRM is wrong, says the HSM: 0006. The old keys stay in use.
    #[error("the MAC in SIGN_IN_CONFIRM is wrong: the terminal did not open these keys")]
    WrongMac,
    /// Host: the terminal asked for a suite that this side has not. Nobody is proven before SIGN_IN_CONFIRM, so it is
    /// told no more than a stranger: 0006.
    #[error("suite {suite} is not supported in this flow")]
    SuiteNotSupported {
        /// The suite that SIGN_IN named.
        suite: Suite,
    },
    /// Host: state or policy does not allow it: 0008.
    #[error("not permitted now: {why}")]
    NotPermitted {
        /// What does not allow it.
        why: String,
    },
    /// Host: another sign-in for the same slot was faster: 000B.
    #[error("another sign-in for this slot was faster")]
    AnotherWon,
    /// Host: too many sign-ins at once, for this serial, source or server: 000B.
    #[error("too many sign-ins at once")]
    TooMany,
    /// Something that this side relies on failed or gave what it must not: 0001.
    #[error("internal: {why}")]
    Internal {
        /// What failed, without key material.
        why: String,
    },
}

impl HasCode for Reason {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Protocol(error) => error.code(),
            Self::Pad(refusal) => refusal.code(),
            Self::UnknownTerminal { .. }
            | Self::WrongPinPad { .. }
            | Self::NoTmk { .. }
            | Self::OtherTmk { .. }
            | Self::WrongMac
            | Self::SuiteNotSupported { .. } => ErrorCode::TerminalAuthenticationFailed,
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
