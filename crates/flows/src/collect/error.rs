//! Why a collection ends, and the code for each reason (2-wire.md section 8).

use alloc::string::String;

use wire::{ErrorCode, Serial, Suite};

use crate::{HasCode, ProtocolError};

/// Why a collection ended. Some reasons only the driver can find; they are here because their code is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// What can go wrong in any flow.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// Terminal: the certificate is refused: 000D.
    #[error("certificate refused: {why}")]
    CertificateRefused {
        /// The exact reason.
        why: String,
    },
    /// Terminal: COLLECT brought a bare key, which the production settings do not allow: 000D.
    #[error("a bare public key is not allowed by the production settings; send a certificate")]
    BareKeyNotAllowed,
    /// Terminal: the proven asker wants a suite that the terminal has not: 0009.
    #[error("suite {suite} is not supported")]
    SuiteNotSupported {
        /// The suite that COLLECT named.
        suite: Suite,
    },
    /// Terminal: a TK was already sent under another certificate: 0008, until production or repair is left.
    #[error("the transport key was already sent under another certificate")]
    OtherCertificate,
    /// Terminal: state, sensors or tamper do not allow it: 0008.
    #[error("not permitted now: {why}")]
    NotPermitted {
        /// What does not allow it.
        why: String,
    },
    /// Station: Ctk_Pu has not the length of the modulus: 0002.
    #[error("Ctk_Pu has {found} bytes, the KMS's modulus {expected}")]
    CtkPuLength {
        /// Bytes of the modulus.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
    /// Server: Ctk_Pu does not open to a good TK, says the HSM: 0002.
    #[error("Ctk_Pu is refused: {why}")]
    CtkPuRefused {
        /// What the HSM says.
        why: String,
    },
    /// Server: nobody opened a window for the serial that COLLECT_ASK named: 0006.
    #[error("no window is open for collecting {sn}; two people must open one")]
    NoWindow {
        /// The serial.
        sn: Serial,
    },
    /// Server: COLLECTED names another device than the one that asked: 0006.
    #[error("COLLECTED is from another device than {asked}, which asked")]
    OtherDevice {
        /// The serial that COLLECT_ASK named.
        asked: Serial,
    },
    /// Station: this serial is not on its list: 0004.
    #[error("the terminal {sn} is not on the list of this run")]
    UnknownTerminal {
        /// The serial that COLLECTED named.
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
            Self::CertificateRefused { .. } | Self::BareKeyNotAllowed => ErrorCode::CertificateRefused,
            Self::SuiteNotSupported { .. } => ErrorCode::SuiteNotSupported,
            Self::OtherCertificate | Self::NotPermitted { .. } => ErrorCode::NotPermittedNow,
            Self::CtkPuLength { .. } | Self::CtkPuRefused { .. } => ErrorCode::Malformed,
            Self::NoWindow { .. } | Self::OtherDevice { .. } => ErrorCode::TerminalAuthenticationFailed,
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
