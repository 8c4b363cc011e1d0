//! Why a local loading ends, and the code for each reason (2-wire.md section 8).

use alloc::string::String;

use wire::{ErrorCode, Serial, Suite};

use crate::{HasCode, LoadingReason, PadRefusal, ProtocolError};

/// Why a local loading ended. Some reasons only the driver can find; they are here because their code is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// What can go wrong in any flow.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The terminal's PIN pad refused; the code is the refusal's.
    #[error("the PIN pad refused: {0}")]
    Pad(#[from] PadRefusal),
    /// Terminal: the KLD's certificate is refused; KLD, in suite 02: the device certificate is, or names another serial:
    /// 000D.
    #[error("certificate refused: {why}")]
    CertificateRefused {
        /// The exact reason.
        why: String,
    },
    /// Terminal: a KLD with a good certificate wants a suite that the terminal has not: 0009.
    #[error("suite {suite} is not supported in this flow")]
    SuiteNotSupported {
        /// The suite that KLD_CONNECT named.
        suite: Suite,
    },
    /// Either side: state, sensors, tamper or policy do not allow it: 0008.
    #[error("not permitted now: {why}")]
    NotPermitted {
        /// What does not allow it.
        why: String,
    },
    /// KLD: no terminal that it knows has this serial: 0004.
    #[error("no terminal with the serial {sn} is known here")]
    UnknownTerminal {
        /// The serial that KLD_ACCEPT named.
        sn: Serial,
    },
    /// KLD: its run does not list this serial: 0008.
    #[error("the terminal {sn} is not on the list of this run")]
    NotInRun {
        /// The serial that KLD_ACCEPT named.
        sn: Serial,
    },
    /// KLD: its run has served this serial: 0008. If this is the true terminal, the key went to a false one: the run
    /// stops, and that key is marked compromised.
    #[error("the terminal {sn} was served already: stop the run; that key may be compromised")]
    AlreadyServed {
        /// The serial that KLD_ACCEPT named.
        sn: Serial,
    },
    /// KLD: C_rnd1_rnd2 does not open to Rnd1 and Rnd2, or Rnd1 is weak, says the HSM: 0002. One code for all of it,
    /// since what differs between two failures of a decryption is an oracle.
    #[error("C_rnd1_rnd2 is refused: {why}")]
    RandomsRefused {
        /// What the HSM says.
        why: String,
    },
    /// KLD, in suite 02: the terminal's signature is not its device certificate's over this loading: 0006.
    #[error("the terminal did not sign this loading with the key of its device certificate")]
    DeviceNotProven,
    /// KLD, in suite 02: the terminal's ephemeral key is no point of the curve, says the HSM: 0002.
    #[error("the terminal's ephemeral key is refused: {why}")]
    PointRefused {
        /// What the HSM says.
        why: String,
    },
    /// KLD: KEY_CONFIRM has another check value than the key that was sent, in suite 02 a wrong receipt: 0007. The report
    /// has an alarm.
    #[error("KEY_CONFIRM does not confirm the key; the key counts as not loaded")]
    WrongCheckValue,
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
            Self::CertificateRefused { .. } => ErrorCode::CertificateRefused,
            Self::SuiteNotSupported { .. } => ErrorCode::SuiteNotSupported,
            Self::NotPermitted { .. } | Self::NotInRun { .. } | Self::AlreadyServed { .. } => {
                ErrorCode::NotPermittedNow
            }
            Self::UnknownTerminal { .. } => ErrorCode::UnknownTerminal,
            Self::DeviceNotProven => ErrorCode::TerminalAuthenticationFailed,
            Self::RandomsRefused { .. } | Self::PointRefused { .. } => ErrorCode::Malformed,
            Self::WrongCheckValue => ErrorCode::KeyRefused,
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

impl LoadingReason for Reason {
    fn wrong_check_value() -> Self {
        Self::WrongCheckValue
    }
}
