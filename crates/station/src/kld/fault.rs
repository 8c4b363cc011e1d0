//! Why a terminal was not loaded, and what to do about it.

use flows::local_load::Reason;
use flows::{HasCode, ProtocolError};
use hsm::HsmError;
use wire::{ErrorCode, Serial};

use super::KldError;
use crate::{Error, link::LinkError};

/// Why one terminal was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadFault {
    /// A card was taken out, or is no longer good.
    #[error("not served: {0}")]
    Cards(#[source] Error),
    /// The KLD or its run is not ready: closed, stopped, no certificate, or its journal cannot be written.
    #[error("not served: {0}")]
    Kld(#[from] KldError),
    /// No connection, silence, or a line that broke.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A role of the flow ended: the terminal refused, or something it said is refused.
    #[error("{0}")]
    Flow(#[from] Reason),
    /// The HSM did not load.
    #[error("nothing was loaded: {0}")]
    Hsm(#[source] HsmError),
    /// Another serial answered than the one that was expected there.
    #[error("{found} answered where {expected} was expected")]
    OtherSerial {
        /// The one expected.
        expected: Serial,
        /// The one that answered.
        found: Serial,
    },
    /// A device that proved itself came again: its keys went to it, and nowhere else.
    #[error("the terminal {sn} was served already, and came again with the same device key")]
    CameAgain {
        /// Its serial.
        sn: Serial,
    },
    /// The serial is of another terminal than the one that this connection began with.
    #[error("{found} answered in the middle of loading {expected}")]
    Changed {
        /// The one that it began with.
        expected: Serial,
        /// The one that answered.
        found: Serial,
    },
}

impl LoadFault {
    /// The code that the report has: four hex digits as on the wire, or `link` where a line broke, `kld` where this side
    /// could not go on.
    pub fn code(&self) -> String {
        let code = match self {
            Self::Flow(reason) => reason.code(),
            Self::OtherSerial { .. } => ErrorCode::UnknownTerminal,
            Self::Changed { .. } | Self::CameAgain { .. } => ErrorCode::NotPermittedNow,
            Self::Link(LinkError::Timeout) => ErrorCode::Timeout,
            Self::Link(LinkError::Malformed(malformed)) => malformed.code(),
            Self::Link(_) => return "link".to_owned(),
            Self::Cards(_) | Self::Kld(_) | Self::Hsm(_) => return "kld".to_owned(),
        };
        format!("{:04X}", code.number())
    }

    /// What the person at the KLD does next.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Cards(_) => "insert both cards again and go on with this terminal",
            Self::Kld(KldError::RunStopped { .. }) | Self::Flow(Reason::AlreadyServed { .. }) => {
                "close the run; one of two terminals with this serial is false: find out which, deploy neither"
            }
            Self::CameAgain { .. } => "it goes into another run, if it has not all of its keys",
            Self::Flow(Reason::CertificateRefused { .. }) => {
                "check the KLD's device root and revocation list; if they are right, have the device certified again"
            }
            Self::Flow(Reason::DeviceNotProven) => {
                "do not deploy it: it shows a device certificate and has not its key"
            }
            Self::Kld(_) | Self::Hsm(_) => "nothing may be loaded until this is put right",
            Self::Link(LinkError::Unreachable(_)) => "check that it is on, listens, and is at this address",
            Self::Link(
                LinkError::NothingPlugged { .. } | LinkError::NoLine { .. } | LinkError::LineInUse { .. },
            ) => "plug the terminal in and name its port; end the other program that has it",
            Self::Link(_) => {
                "check the cable; if the status shows it as served, it goes into another run, else load it again"
            }
            Self::Flow(Reason::WrongCheckValue) => "do not deploy it: it holds another key than was sent",
            Self::Flow(Reason::NotInRun { .. } | Reason::UnknownTerminal { .. }) => {
                "put it on the list of another run if it belongs there; otherwise find out where it came from"
            }
            Self::Flow(Reason::RandomsRefused { .. }) => {
                "do not deploy it: its random numbers are not good, or it encrypted to another key"
            }
            Self::Flow(Reason::Protocol(ProtocolError::Peer(message))) => refused(message.known_code()),
            Self::Flow(_) => "check which version of the protocol it has",
            Self::OtherSerial { .. } | Self::Changed { .. } => {
                "check which terminal this is; do not deploy one that lies"
            }
        }
    }

    /// Whether the terminal said that it does not take the key.
    pub(super) fn is_the_terminals(&self) -> bool {
        matches!(self, Self::Flow(Reason::Protocol(ProtocolError::Peer(_))))
    }
}

/// What to do about a terminal's ERROR.
fn refused(code: Option<ErrorCode>) -> &'static str {
    match code {
        Some(ErrorCode::CertificateRefused) => {
            "it believes another acquirer's root, or its date is wrong: whose terminal is it?"
        }
        Some(ErrorCode::NotPermittedNow) => {
            "its state or sensors do not allow it, or the place belongs to another owner: see its own status"
        }
        Some(ErrorCode::ServerAuthenticationFailed | ErrorCode::KeyRefused) => {
            "what arrived is not what was sent: look for somebody in between, then load it in another run"
        }
        Some(ErrorCode::SuiteNotSupported) => {
            "its software lacks this suite, or this key is bound to a better one: look at its status"
        }
        Some(ErrorCode::Busy | ErrorCode::Timeout) => "wait a minute and load it again",
        _ => "see the terminal's own display or log",
    }
}
