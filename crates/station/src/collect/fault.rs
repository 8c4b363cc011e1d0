//! Why a terminal was not collected, and what to do about it.

use std::sync::Arc;

use flows::{ProtocolError, collect::Reason};
use pki::CertificateRefusal;
use wire::{ErrorCode, ErrorMessage, Serial};

use crate::{Error, link::LinkError};

/// Why one terminal was not collected. None of these spoils the others.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectFault {
    /// A card was taken out, or is no longer good: nothing was asked.
    #[error("not asked: {0}")]
    Cards(#[source] Arc<Error>),
    /// The same while this terminal answered: its answer, if any came, is not used.
    #[error("broken off, its answer is not used: {0}")]
    CardsDuring(#[source] Arc<Error>),
    /// The same address stands twice in the run.
    #[error("its address stands twice in this run; it was asked once")]
    TargetTwice,
    /// No connection, silence, or a line that broke.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The terminal answered ERROR.
    #[error("the terminal refused: {0}")]
    Refused(ErrorMessage),
    /// The answer cannot be read, came in the wrong order, or has a Ctk_Pu of the wrong length.
    #[error("its answer is refused: {0}")]
    Answer(#[source] Reason),
    /// Asked twice, it gave two answers: the line changed one of them.
    #[error("its two answers differ: the line is noisy")]
    TwoAnswers,
    /// Another serial answered than the one that the run expects there.
    #[error("{found} answered where {expected} was expected")]
    OtherSerial {
        /// The one in the run.
        expected: Serial,
        /// The one that answered.
        found: Serial,
    },
    /// The serial is not on the run's list.
    #[error("{sn} is not on the list of this run")]
    Unlisted {
        /// The serial.
        sn: Serial,
    },
    /// Two addresses answered with one serial: neither is believed.
    #[error("{sn} answered at {other} too; neither answer is used")]
    SerialTwice {
        /// The serial, of the terminal or its PIN pad.
        sn: Serial,
        /// The other address.
        other: String,
    },
    /// Two terminals gave the same Ctk_Pu: neither is believed.
    #[error("its transport key is the one of {other} too; neither is used")]
    SameTransportKey {
        /// The other serial.
        other: Serial,
    },
    /// Its device certificate is refused: chain, dates, role or revocation.
    #[error("its device certificate is refused: {0}")]
    DeviceCertificate(#[source] CertificateRefusal),
    /// Its device certificate is another PIN pad's.
    #[error("its device certificate is {found}'s, and its PIN pad is {expected}")]
    OtherDevice {
        /// The PIN pad's serial in its answer.
        expected: Serial,
        /// The serial in the certificate.
        found: String,
    },
    /// Its device key did not sign this question and this answer.
    #[error("its device key did not sign this answer")]
    DeviceSignature,
    /// Two terminals with one device key: neither is believed.
    #[error("its device key is the one of {other} too; neither is used")]
    SameDeviceKey {
        /// The other serial.
        other: Serial,
    },
    /// The journal did not take its answer: it does not count.
    #[error("its answer could not be kept: {why}")]
    NotKept {
        /// What the journal said.
        why: String,
    },
    /// The thread that asked ended without an answer.
    #[error("the station's own thread failed")]
    Internal,
}

impl CollectFault {
    /// The serial that answered, where that is why it was refused.
    pub(crate) fn answered_by(&self) -> Option<&Serial> {
        match self {
            Self::OtherSerial { found: sn, .. } | Self::Unlisted { sn } => Some(sn),
            _ => None,
        }
    }

    /// Whether a line that changes bytes can have caused it: on one that may, what is said once is not believed.
    pub(super) fn may_be_noise(&self) -> bool {
        match self {
            // Also a terminal that was collected and hears a byte of the certificate wrong: 0008, another certificate.
            Self::Refused(_)
            | Self::Answer(_)
            | Self::TwoAnswers
            | Self::OtherSerial { .. }
            | Self::Unlisted { .. }
            | Self::DeviceCertificate(_)
            | Self::OtherDevice { .. }
            | Self::DeviceSignature => true,
            _ => false,
        }
    }

    /// What a terminal whose answer was refused is told.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::OtherSerial { .. } | Self::Unlisted { .. } => ErrorCode::UnknownTerminal,
            Self::DeviceCertificate(_) | Self::OtherDevice { .. } => ErrorCode::CertificateRefused,
            Self::CardsDuring(_) => ErrorCode::NotPermittedNow,
            Self::DeviceSignature => ErrorCode::TerminalAuthenticationFailed,
            _ => ErrorCode::Internal,
        }
    }

    /// What the person at the station does next.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Cards(_) | Self::CardsDuring(_) => {
                "insert both cards again and collect the rest in another run"
            }
            Self::NotKept { .. } => "see to the journal, then collect it again: it gives the same answer",
            Self::TargetTwice => "write each address once",
            Self::Link(LinkError::Unreachable(_)) => {
                "check that it is on, in its collecting menu, and at this address"
            }
            Self::Link(LinkError::NothingPlugged { .. }) => {
                "plug the terminal in, or name the port that it is at (`keyferry station ports`)"
            }
            Self::Link(LinkError::NoLine { .. }) => "name a serial port (`keyferry station ports`)",
            Self::Link(LinkError::LineInUse { .. }) => "end the other program that has the line",
            Self::Link(LinkError::Line { .. }) => "check who may use the port, and its speed",
            Self::Link(LinkError::NeverQuiet { .. }) => {
                "check that a terminal is there, and the speed of its line"
            }
            Self::Link(LinkError::Unplugged { .. }) => {
                "plug it in and collect it again: it gives the same answer"
            }
            Self::TwoAnswers => "check the cable and its speed, then collect it again",
            Self::Link(LinkError::Malformed(_)) => {
                "check that a terminal listens there and which version it has"
            }
            Self::Link(_) => "check its cable or network, then collect it again: it gives the same answer",
            Self::Refused(message) => refused(message.known_code()),
            Self::Answer(Reason::CtkPuLength { .. }) => {
                "do not deploy it: it encrypted to another key than this work certificate's"
            }
            Self::Answer(Reason::Protocol(
                ProtocolError::Unexpected { .. } | ProtocolError::Malformed(_),
            )) => "check which version of the protocol it has, then collect it again",
            Self::Answer(_) => "collect it again; if it stays so, send it to the workshop",
            Self::OtherSerial { .. } => {
                "check which terminal is at this address; do not deploy one that lies"
            }
            Self::Unlisted { .. } => {
                "add it to the list if it belongs there; otherwise find out where it came from"
            }
            Self::SerialTwice { .. } => {
                "at least one of the two is not what it says: look at both serial plates"
            }
            Self::SameTransportKey { .. } => {
                "keys are unique: one of the two copied an answer, deploy neither"
            }
            Self::DeviceCertificate(_) => {
                "check the station's device root and revocation list; if they are right, have the device certified again"
            }
            Self::OtherDevice { .. } => {
                "do not deploy it: it shows another PIN pad's certificate; find out where that came from"
            }
            Self::DeviceSignature => "do not deploy it: something between changed its answer, or it lies",
            Self::SameDeviceKey { .. } => {
                "deploy neither: a device key was copied; tell the vendor and the CA"
            }
            Self::Internal => "collect it again",
        }
    }
}

/// What to do about a terminal's ERROR.
fn refused(code: Option<ErrorCode>) -> &'static str {
    match code {
        Some(ErrorCode::NotPermittedNow) => {
            "it is not in production or repair, its sensors object, or it was collected under another certificate"
        }
        Some(ErrorCode::CertificateRefused) => {
            "check its burnt-in root and date against the work certificate's chain, dates and role"
        }
        Some(ErrorCode::SuiteNotSupported) => {
            "its software lacks this suite, or it is bound to another one: look at its status"
        }
        Some(ErrorCode::Busy | ErrorCode::Timeout) => "wait a minute and collect it again",
        Some(ErrorCode::Malformed | ErrorCode::UnexpectedMessage) => {
            "it does not understand this station: compare their versions"
        }
        _ => "see the terminal's own display or log",
    }
}

impl From<flows::collect::Fault> for CollectFault {
    fn from(fault: flows::collect::Fault) -> CollectFault {
        match fault.reason {
            Reason::Protocol(ProtocolError::Peer(message)) => CollectFault::Refused(message),
            reason => CollectFault::Answer(reason),
        }
    }
}
