//! Repair: brings a vendor's authorisation to one terminal, which wipes every key and enters repair (1-systems.md D;
//! 2-wire.md section 3, types 54–56).
//!
//! The authorisation is a card with role `.8`. It is opened and checked before the terminal is asked, so that nobody types
//! a PIN while a terminal waits, and checked again before it signs.

use flows::{
    ProtocolError,
    repair::{Reason, station::Start},
};
use pki::{Certificate, Role};
use wire::{BcdTime, Device, ErrorCode, ErrorMessage, Frame, Serial};

use crate::{
    Checks, Error,
    card::{Card, Opened},
    clock,
    link::{Link, LinkError, LinkLimits},
};

/// How long an authorisation holds unless the person says otherwise, minutes.
pub const DEFAULT_VALID_MINUTES: u32 = 60;
/// Longest that one may hold, minutes: a week. It is made and used on one connection; the rest is for clocks that differ.
pub const MAX_VALID_MINUTES: u32 = 7 * 24 * 60;

/// A repair authorisation card, opened and checked.
#[derive(Debug)]
pub struct RepairCard(Opened);

impl RepairCard {
    /// Opens the card with its PIN, after its certificate was checked (role `.8`).
    ///
    /// # Errors
    /// [`Error::CardMissing`], [`Error::CardRefused`], [`Error::CardPin`], [`Error::CardKey`].
    pub fn open(card: Box<dyn Card>, pin: &str, checks: &Checks) -> Result<RepairCard, Error> {
        Opened::open(card, pin, Role::RepairAuthorisation, checks).map(RepairCard)
    }

    /// Its certificate: who authorises.
    pub fn certificate(&self) -> &Certificate {
        self.0.card().certificate()
    }
}

/// How a repair is done.
#[derive(Debug, Clone, Copy)]
pub struct RepairSettings {
    /// How long the authorisation holds from now on, minutes: 1 to [`MAX_VALID_MINUTES`].
    pub valid_minutes: u32,
    /// How long the link waits.
    pub limits: LinkLimits,
}

impl Default for RepairSettings {
    fn default() -> RepairSettings {
        RepairSettings { valid_minutes: DEFAULT_VALID_MINUTES, limits: LinkLimits::default() }
    }
}

/// A terminal that said DONE: every key in it is wiped, and it is in repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Its serial and its PIN pad's, as they were signed.
    pub device: Device,
    /// Until when the authorisation held.
    pub expiry: BcdTime,
}

/// Why a terminal was not repaired.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairFault {
    /// The card is missing, refused, or did not sign.
    #[error("not authorised: {0}")]
    Card(#[from] Error),
    /// An authorisation that would hold for no time, or too long.
    #[error("an authorisation of {minutes} minutes is refused: it holds for 1 to {MAX_VALID_MINUTES}")]
    Validity {
        /// What was asked for.
        minutes: u32,
    },
    /// The station's clock shows a time that cannot be written as an expiry.
    #[error("the station's clock shows no time from 2000 to 2099")]
    Clock,
    /// No connection, silence, or a line that broke, before an authorisation left.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The authorisation left, and no readable answer came: the terminal may be in repair.
    #[error("whether it is in repair is not known: {0}")]
    Unknown(#[source] LinkError),
    /// The terminal gave no challenge.
    #[error("the terminal gave no challenge: {0}")]
    NoChallenge(ErrorMessage),
    /// The terminal refused the authorisation.
    #[error("the terminal refused the authorisation: {0}")]
    Refused(ErrorMessage),
    /// Another serial answered than the one that is to be repaired: 0004. Nothing was signed.
    #[error("{found} answered where {expected} was expected; nothing was signed")]
    OtherSerial {
        /// The one to be repaired.
        expected: Serial,
        /// The one that answered.
        found: Serial,
    },
    /// An answer cannot be read or came in the wrong order, or the card's certificates fit into no message.
    #[error("the exchange ended: {0}")]
    Flow(#[source] Reason),
}

impl RepairFault {
    /// What the person at the station does next.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Card(error) => card(error),
            Self::Validity { .. } => "an hour is enough where the clocks are right",
            Self::Clock => "set the station's clock",
            Self::Link(LinkError::Unreachable(_)) => "check that it is on, listens, and is at this address",
            Self::Link(LinkError::Malformed(_)) => {
                "check that a terminal listens there and which version it has"
            }
            Self::Link(
                LinkError::NothingPlugged { .. } | LinkError::NoLine { .. } | LinkError::LineInUse { .. },
            ) => "plug the terminal in and name its port; end the other program that has it",
            Self::Link(_) => "check its cable or network, then try again: nothing was changed",
            Self::Unknown(_) => {
                "look at the terminal's status; if it is not in repair, try again: it keeps its challenge"
            }
            Self::NoChallenge(message) => match message.known_code() {
                Some(ErrorCode::NotPermittedNow) => {
                    "only a deployed or tampered terminal is repaired: look at its status"
                }
                code => refused(code),
            },
            Self::Refused(message) => refused(message.known_code()),
            Self::OtherSerial { .. } => {
                "check which terminal is at this address, and name the one on the order"
            }
            Self::Flow(Reason::Protocol(ProtocolError::Unwritable(_))) => {
                "have the card issued again with a shorter chain"
            }
            Self::Flow(_) => "check which version of the protocol it has",
        }
    }
}

/// What to do about a card.
fn card(error: &Error) -> &'static str {
    match error {
        Error::CardMissing { .. } => "insert the repair authorisation card and begin again",
        Error::CardPin { .. } => "check the PIN, then begin again",
        Error::CardRefused { .. } => {
            "bring the vendor's card of the role repair-authorisation, valid and not revoked, of the station's root"
        }
        _ => "have the card issued again",
    }
}

/// What to do about a terminal's ERROR.
fn refused(code: Option<ErrorCode>) -> &'static str {
    match code {
        Some(ErrorCode::CertificateRefused) => {
            "it does not believe this card: bring one of its own vendor, and check the terminal's date"
        }
        Some(ErrorCode::ServerAuthenticationFailed) => {
            "what arrived is not what was signed: look for somebody in between, then try again"
        }
        Some(ErrorCode::NotPermittedNow) => {
            "its challenge is used up or the authorisation has expired by its clock: compare the clocks, then try again"
        }
        Some(ErrorCode::Malformed | ErrorCode::UnexpectedMessage) => {
            "it does not understand this station: compare their versions"
        }
        Some(ErrorCode::Busy | ErrorCode::Timeout) => "wait a minute and try again",
        _ => "see the terminal's own display or log",
    }
}

/// Asks the terminal at this address (a [`crate::Target`]'s) for its challenge, signs it together with both serials and an expiry, and waits for
/// DONE. Nothing is signed for another terminal than `sn`.
///
/// # Errors
/// [`RepairFault`]; [`RepairFault::advice`] says what to do next.
pub fn repair(
    card: &RepairCard,
    address: &str,
    sn: &Serial,
    settings: &RepairSettings,
) -> Result<Repaired, RepairFault> {
    let minutes = settings.valid_minutes;
    if !(1..=MAX_VALID_MINUTES).contains(&minutes) {
        return Err(RepairFault::Validity { minutes });
    }
    card.0.check()?;
    let (ask, expect_challenge) = Start::new().begin().map_err(|fault| RepairFault::Flow(fault.reason))?;
    let mut link = Link::connect(address, settings.limits)?;
    let frame = match link.send(&ask).and_then(|()| link.receive()) {
        Ok(frame) => frame,
        Err(error) => {
            end(link, &error);
            return Err(error.into());
        }
    };
    let challenge = match expect_challenge.on_frame(&frame) {
        Ok(challenge) => challenge,
        Err(fault) => return Err(ended(link, fault, RepairFault::NoChallenge)),
    };
    let found = challenge.device().sn().clone();
    if found != *sn {
        link.end_with(challenge.unknown_terminal().code);
        return Err(RepairFault::OtherSerial { expected: sn.clone(), found });
    }
    let signed = expiry(minutes).and_then(|expiry| {
        let text = challenge.signed_text(expiry);
        Ok((expiry, card.0.sign_text(&text)?))
    });
    let (expiry, signature) = match signed {
        Ok(signed) => signed,
        Err(fault) => {
            link.end_with(ErrorCode::Internal);
            return Err(fault);
        }
    };
    let leaf = card.certificate().der().to_vec();
    let (repair, expect_done) = match challenge.authorise(leaf, card.0.intermediates(), expiry, signature) {
        Ok(next) => next,
        Err(fault) => return Err(ended(link, fault, RepairFault::Refused)),
    };
    let done = match exchange_last(&mut link, &repair) {
        Ok(frame) => frame,
        Err(error) => {
            end(link, &error);
            return Err(RepairFault::Unknown(error));
        }
    };
    match expect_done.on_frame(&done) {
        Ok(device) => Ok(Repaired { device, expiry }),
        Err(fault) => Err(ended(link, fault, RepairFault::Refused)),
    }
}

/// Sends REPAIR and waits for what the terminal says to it.
fn exchange_last(link: &mut Link, repair: &Frame) -> Result<Frame, LinkError> {
    link.send(repair)?;
    link.receive()
}

fn expiry(minutes: u32) -> Result<BcdTime, RepairFault> {
    BcdTime::from_unix(clock::now() + i64::from(minutes) * 60).map_err(|_| RepairFault::Clock)
}

/// Tells the terminal of a trouble of the link, where it can be told.
fn end(link: Link, error: &LinkError) {
    match error {
        LinkError::Timeout => link.end_with(ErrorCode::Timeout),
        LinkError::Malformed(malformed) => link.end_with(malformed.code()),
        _ => {}
    }
}

/// The end by a role's fault. The terminal's ERROR is not answered; what it means depends on what it was said to.
fn ended(
    link: Link,
    fault: flows::repair::Fault,
    said: impl FnOnce(ErrorMessage) -> RepairFault,
) -> RepairFault {
    match fault.reason {
        Reason::Protocol(ProtocolError::Peer(message)) => said(message),
        reason => {
            link.end_with(fault.code);
            RepairFault::Flow(reason)
        }
    }
}
