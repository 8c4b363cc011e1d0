//! Why the sealed phase ends, and the code for each reason (2-wire.md section 8).

use alloc::string::String;

use wire::{ErrorCode, PackageName, PackageVersion};

use super::sealed::Exhausted;
use crate::{HasCode, PadRefusal, ProtocolError};

/// Why the sealed phase of a session ended. Some reasons only the driver can find; they are here because their code is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// What can go wrong in any flow.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// Terminal: its PIN pad refused; the code is the refusal's.
    #[error("the PIN pad refused: {0}")]
    Pad(#[from] PadRefusal),
    /// The session's keys have protected as much as they may: 000B. The terminal opens a new session.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// TMS: a sealed message does not open: forged, replayed, out of order or cut. 0006.
    #[error("a sealed message does not open: forged, replayed or out of order")]
    NotAuthentic,
    /// TMS: the terminal asks for a package that it is not offered: 0008.
    #[error("{name} {version} is not offered to this terminal")]
    NotOffered {
        /// Its name.
        name: PackageName,
        /// Its version.
        version: PackageVersion,
    },
    /// TMS: the terminal asks for bytes behind the end of a package: 0008.
    #[error("offset {offset} lies behind the package's end at {size}")]
    PastTheEnd {
        /// Where from.
        offset: u64,
        /// Bytes of the package.
        size: u64,
    },
    /// Terminal: TMS_DATA is not what was asked for: 0002.
    #[error("TMS_DATA is not what was asked for: {why}")]
    OtherData {
        /// What differs.
        why: &'static str,
    },
    /// TMS: state or policy does not allow it: 0008.
    #[error("not permitted now: {why}")]
    NotPermitted {
        /// What does not allow it.
        why: String,
    },
    /// TMS: the vendor's repository does not answer, or too many ask at once: 000B.
    #[error("busy: {why}")]
    Busy {
        /// What is.
        why: String,
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
            Self::Pad(refusal) => refusal.code(),
            Self::Exhausted(_) | Self::Busy { .. } => ErrorCode::Busy,
            Self::NotAuthentic => ErrorCode::TerminalAuthenticationFailed,
            Self::NotOffered { .. } | Self::PastTheEnd { .. } | Self::NotPermitted { .. } => {
                ErrorCode::NotPermittedNow
            }
            Self::OtherData { .. } => ErrorCode::Malformed,
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

impl From<Exhausted> for super::Fault {
    fn from(exhausted: Exhausted) -> super::Fault {
        Reason::Exhausted(exhausted).into()
    }
}
