//! How a flow on the terminal port ended without coming to its end.

use flows::{Fault, HasCode};
use hsm::HsmError;
use store::StoreError;
use wire::ErrorCode;

use crate::{kms::Failure, link::LinkError};

/// Why a flow ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlowEnd<R: HasCode> {
    /// The line failed: there is nobody to tell.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// The flow ended; the peer is told the code.
    #[error("{0}")]
    Fault(#[from] Fault<R>),
    /// HSM or store failed; the peer is told 0001.
    #[error("{0}")]
    Failure(#[from] Failure),
}

impl<R: HasCode> FlowEnd<R> {
    /// What the peer is told, if it is to be told anything.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Link(LinkError::Silent) => Some(ErrorCode::Timeout),
            Self::Link(LinkError::Malformed(malformed)) => Some(malformed.code()),
            Self::Link(LinkError::Closed | LinkError::Broken(_)) => None,
            Self::Fault(fault) => fault.peer_error().is_none().then_some(fault.code),
            Self::Failure(_) => Some(ErrorCode::Internal),
        }
    }
}

impl<R: HasCode> From<HsmError> for FlowEnd<R> {
    fn from(error: HsmError) -> Self {
        Self::Failure(error.into())
    }
}

impl<R: HasCode> From<StoreError> for FlowEnd<R> {
    fn from(error: StoreError) -> Self {
        Self::Failure(error.into())
    }
}
