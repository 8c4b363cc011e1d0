//! Why a certification ends, and the code for each reason (2-wire.md section 8).

use alloc::string::String;

use wire::{ErrorCode, Serial};

use super::InstallRefusal;
use crate::{HasCode, PadRefusal, ProtocolError};

/// Why a certification ended. Some reasons only the driver can find; they are here because their code is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// What can go wrong in any flow.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// Terminal: the PIN pad does not take the step.
    #[error(transparent)]
    Pad(#[from] PadRefusal),
    /// Terminal: the certificate is refused: 000D.
    #[error("certificate refused: {why}")]
    CertificateRefused {
        /// The exact reason.
        why: String,
    },
    /// Station: this serial is not on its list: 0004.
    #[error("the terminal {sn} is not on the list of this run")]
    UnknownTerminal {
        /// The serial that DEVICE_REQUEST named.
        sn: Serial,
    },
    /// Station: the request is not one of a PIN pad with the serial that its message names: 0002.
    #[error("the request is refused: {why}")]
    RequestRefused {
        /// What is wrong with it.
        why: String,
    },
    /// Station: the certificate is not for this terminal's key; nothing is sent: 0008.
    #[error("the certificate at hand is not for this terminal: {why}")]
    OtherCertificate {
        /// In what it differs.
        why: String,
    },
    /// Something that this side relies on failed or gave what it must not: 0001.
    #[error("internal: {why}")]
    Internal {
        /// What failed, without key material.
        why: String,
    },
}

impl From<InstallRefusal> for Reason {
    fn from(refusal: InstallRefusal) -> Reason {
        match refusal {
            InstallRefusal::Certificate { why } => Reason::CertificateRefused { why },
            InstallRefusal::Pad(refusal) => refusal.into(),
        }
    }
}

impl HasCode for Reason {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Protocol(error) => error.code(),
            Self::Pad(refusal) => refusal.code(),
            Self::CertificateRefused { .. } => ErrorCode::CertificateRefused,
            Self::UnknownTerminal { .. } => ErrorCode::UnknownTerminal,
            Self::RequestRefused { .. } => ErrorCode::Malformed,
            Self::OtherCertificate { .. } => ErrorCode::NotPermittedNow,
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
