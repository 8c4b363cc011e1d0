//! Why a repair ends, and the code for each reason (2-wire.md section 8).

use alloc::string::String;

use wire::{BcdTime, ErrorCode, Serial};

use crate::{HasCode, ProtocolError};

/// Why a repair ended. Some reasons only the driver can find; they are here because their code is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// What can go wrong in any flow.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// Terminal: the authoriser's certificate is refused: 000D.
    #[error("certificate refused: {why}")]
    CertificateRefused {
        /// The exact reason.
        why: String,
    },
    /// Terminal: the signature is not over this terminal, its challenge and this expiry: 0005.
    #[error("the signature is not the authoriser's for this terminal, its challenge and this expiry")]
    WrongSignature,
    /// Terminal: the authorisation has expired by the terminal's known time: 0008.
    #[error("the authorisation expired at {expiry}")]
    Expired {
        /// Until when it held.
        expiry: BcdTime,
    },
    /// Terminal: no challenge is open, or the state does not allow it: 0008.
    #[error("not permitted now: {why}")]
    NotPermitted {
        /// What does not allow it.
        why: String,
    },
    /// Station: this is not the terminal that the authorisation is for: 0004.
    #[error("the terminal {sn} is not the one to be repaired")]
    UnknownTerminal {
        /// The serial that REPAIR_CHALLENGE named.
        sn: Serial,
    },
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
            Self::CertificateRefused { .. } => ErrorCode::CertificateRefused,
            Self::WrongSignature => ErrorCode::ServerAuthenticationFailed,
            Self::Expired { .. } | Self::NotPermitted { .. } => ErrorCode::NotPermittedNow,
            Self::UnknownTerminal { .. } => ErrorCode::UnknownTerminal,
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
