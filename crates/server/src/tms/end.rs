//! How a session with a terminal ends before its time.

use flows::{tms_download, tms_session};
use wire::ErrorCode;

use crate::{flow_end::FlowEnd, kms::Failure, link::LinkError};

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TmsEnd {
    /// Before the sealed phase; the peer is told by a clear ERROR.
    #[error("{0}")]
    Session(#[from] FlowEnd<tms_session::Reason>),
    /// Before the sealed phase; the peer was told by an SRC.
    #[error("{0}")]
    Refused(tms_session::Reason),
    /// In the sealed phase; the peer was told by a sealed ERROR, where one could be sent.
    #[error("{0}")]
    Sealed(#[from] FlowEnd<tms_download::Reason>),
    /// HSM or store failed in the handshake; the peer was told SRC 96.
    #[error("{0}")]
    Failed(Failure),
}

impl TmsEnd {
    /// What the peer is still to be told.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Session(end) => end.code(),
            Self::Refused(_) | Self::Sealed(_) | Self::Failed(_) => None,
        }
    }

    /// Whether something of ours failed, which our people must see.
    pub(crate) fn is_failure(&self) -> bool {
        let internal = Some(ErrorCode::Internal);
        match self {
            Self::Session(end) => end.code() == internal,
            Self::Sealed(end) => end.code() == internal,
            Self::Failed(_) => true,
            Self::Refused(_) => false,
        }
    }
}

impl From<tms_session::Fault> for TmsEnd {
    fn from(fault: tms_session::Fault) -> Self {
        Self::Session(fault.into())
    }
}

impl From<LinkError> for TmsEnd {
    fn from(error: LinkError) -> Self {
        Self::Session(error.into())
    }
}

impl From<Failure> for TmsEnd {
    fn from(failure: Failure) -> Self {
        Self::Session(failure.into())
    }
}
