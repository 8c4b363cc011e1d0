//! Why a download from the RKS ends, and the code for each reason (2-wire.md section 8).

use alloc::string::String;

use wire::{ErrorCode, Serial, Slot, Suite};

use crate::{HasCode, LoadingReason, PadRefusal, ProtocolError};

/// Why a download from the RKS ended. Some reasons only the driver can find; they are here because their code is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// What can go wrong in any flow.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The device's PIN pad refused; the code is the refusal's.
    #[error("the PIN pad refused: {0}")]
    Pad(#[from] PadRefusal),
    /// Device: the RKS's certificate is refused: 0005, as every chain in a flow that a server proves itself with.
    #[error("the server's certificate is refused: {why}")]
    CertificateRefused {
        /// The exact reason.
        why: String,
    },
    /// RKS: no device has this serial: 0006, only after RKS_PROOF.
    #[error("no device has the serial {sn}")]
    UnknownTerminal {
        /// The serial that RKS_AUTH named.
        sn: Serial,
    },
    /// RKS: device and PIN pad are not the recorded pair: 0006, only after RKS_PROOF.
    #[error("{sn} is not recorded with the PIN pad {pin_pad}")]
    WrongPinPad {
        /// The device that RKS_AUTH named.
        sn: Serial,
        /// The PIN pad that it named.
        pin_pad: Serial,
    },
    /// RKS: RKS_PROOF does not prove DIK2, says the HSM: 0006.
    #[error("the device is not proven: {why}")]
    NotProven {
        /// What the HSM says: AT, the hash of TK, a weak TK, in suite 02 MAC_T; another factor than the registered one,
        /// or a ciphertext that does not open.
        why: String,
    },
    /// RKS: a proven device asked for a suite that this side has not: 0009.
    #[error("suite {suite} is not supported in this flow")]
    SuiteNotSupported {
        /// The suite that RKS_AUTH named.
        suite: Suite,
    },
    /// RKS: there is nothing to load for a proven device: 000C.
    #[error("no key for slot {slot}")]
    NoKey {
        /// The slot that RKS_AUTH named.
        slot: Slot,
    },
    /// RKS: KEY_CONFIRM has another check value than a key that was sent, in suite 02 a wrong receipt: 0007. Every key of
    /// the message stays pending, the audit has an alarm.
    #[error("KEY_CONFIRM does not confirm the keys; every key that was sent stays pending")]
    WrongCheckValue,
    /// Either side: state, sensors, tamper or policy do not allow it: 0008.
    #[error("not permitted now: {why}")]
    NotPermitted {
        /// What does not allow it.
        why: String,
    },
    /// RKS: another download for the same device was faster: 000B.
    #[error("another download for this device was faster")]
    AnotherWon,
    /// RKS: too many downloads at once, for this serial, source or server: 000B.
    #[error("too many downloads at once")]
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
            Self::CertificateRefused { .. } => ErrorCode::ServerAuthenticationFailed,
            Self::UnknownTerminal { .. } | Self::WrongPinPad { .. } | Self::NotProven { .. } => {
                ErrorCode::TerminalAuthenticationFailed
            }
            Self::SuiteNotSupported { .. } => ErrorCode::SuiteNotSupported,
            Self::NoKey { .. } => ErrorCode::NoKeyForSlot,
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

impl LoadingReason for Reason {
    fn wrong_check_value() -> Self {
        Self::WrongCheckValue
    }
}
