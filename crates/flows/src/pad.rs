//! Why a PIN pad does not take a step.

use alloc::string::String;

use wire::{ErrorCode, Malformed};

/// Why a PIN pad does not take a step, in every flow but the TMK download, which has its own. The texts are for the
/// terminal's own log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PadRefusal {
    /// A frame cannot be read: 0002.
    #[error("malformed: {0}")]
    Malformed(#[from] Malformed),
    /// The other side is not who it must be: Rnd2' or its signature in local loading, the AT_TK1 block from the RKS,
    /// TAC_1 or a sealed message from the TMS, the MAC of a sign-in's DONE: 0005.
    #[error("the server is not proven: {why}")]
    ServerNotProven {
        /// What does not hold.
        why: String,
    },
    /// A key block does not open, or is not in its place, time or use; or the key is weak: 0007.
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
    /// A flow of a higher suite was completed for this key, so this one's is no longer taken until a repair authorisation:
    /// 0009 (3-hardened.md).
    #[error("suite not supported: {why}")]
    SuiteNotSupported {
        /// Which key has moved up.
        why: String,
    },
    /// The PIN pad failed, for instance could not write its state: 0001.
    #[error("PIN pad failed: {why}")]
    Failed {
        /// What failed, without key material.
        why: String,
    },
}

impl PadRefusal {
    /// Its code in 2-wire.md section 8.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Malformed(malformed) => malformed.code(),
            Self::ServerNotProven { .. } => ErrorCode::ServerAuthenticationFailed,
            Self::KeyRefused { .. } => ErrorCode::KeyRefused,
            Self::NotPermitted { .. } => ErrorCode::NotPermittedNow,
            Self::SuiteNotSupported { .. } => ErrorCode::SuiteNotSupported,
            Self::Failed { .. } => ErrorCode::Internal,
        }
    }
}
