//! What every flow of a terminal has in common: a line, a PIN pad that watches its sensors while the line is silent, and
//! an end that the other side is told.

use std::cell::RefCell;

use flows::{
    Fault, HasCode, collect, local_load, repair, rks_load, sign_in, tmk_download, tms_download, tms_session,
};
use wire::{ErrorMessage, Fields, Frame, error_frame, error_frame_with_refusals};

use crate::refusals::ChainedRefusal;
use crate::{Link, LinkError, PinPad, Stream};

/// Why a flow that the terminal began came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError<R: HasCode> {
    /// The server refused.
    #[error("the server refused: {0}")]
    Refused(ErrorMessage),
    /// The terminal refused; the server was told the code where it was there to be told.
    #[error("{}: {reason}", .reason.code())]
    Fault {
        /// The exact reason.
        reason: R,
    },
    /// The connection failed.
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl<R: HasCode> FlowError<R> {
    /// What a fault means to the terminal.
    pub(crate) fn of(fault: Fault<R>) -> FlowError<R> {
        match fault.peer_error() {
            Some(message) => FlowError::Refused(message.clone()),
            None => FlowError::Fault { reason: fault.reason },
        }
    }
}

/// A reason that can say that the terminal does not permit something now.
pub(crate) trait NotPermitted: HasCode {
    /// That reason: 0008.
    fn not_permitted(why: String) -> Self;
}

macro_rules! not_permitted {
    ($($reason:ty),*) => {$(
        impl NotPermitted for $reason {
            fn not_permitted(why: String) -> Self {
                Self::NotPermitted { why }
            }
        }
    )*};
}

not_permitted!(
    collect::Reason,
    local_load::Reason,
    repair::Reason,
    rks_load::Reason,
    sign_in::Reason,
    tmk_download::Reason,
    tms_download::Reason,
    tms_session::Reason
);

/// Why a flow stopped: a fault has an answer, a link may have one by its code.
pub(crate) enum Stop<R: HasCode> {
    Fault(Fault<R>),
    Link(LinkError),
}

impl<R: HasCode> From<Fault<R>> for Stop<R> {
    fn from(fault: Fault<R>) -> Stop<R> {
        Stop::Fault(fault)
    }
}

impl<R: HasCode> From<LinkError> for Stop<R> {
    fn from(error: LinkError) -> Stop<R> {
        Stop::Link(error)
    }
}

impl<R: HasCode> Stop<R> {
    /// Tells the peer, with the records that the refusal left in the log, and closes.
    pub(crate) fn tell<S: Stream>(self, link: Link<S>, records: &[Fields]) -> FlowError<R> {
        match self {
            Stop::Fault(fault) => {
                if fault.peer_error().is_none() {
                    link.end_with(&error_frame_with_refusals(fault.code, fault.code.text(), records));
                }
                FlowError::of(fault)
            }
            Stop::Link(error) => {
                if let Some(code) = error.code() {
                    link.end_with(&error_frame(code, code.text()));
                }
                FlowError::Link(error)
            }
        }
    }
}

/// Waits for a frame and has the PIN pad look at its sensors meanwhile: tampering ends the wait with 0008.
pub(crate) fn receive<S: Stream, P: PinPad, R: NotPermitted>(
    link: &mut Link<S>,
    pad: &mut P,
) -> Result<Frame, Stop<R>> {
    receive_unless(link, pad, &|| false)
}

/// As [`receive`], until `stop` says to stop.
pub(crate) fn receive_unless<S: Stream, P: PinPad, R: NotPermitted>(
    link: &mut Link<S>,
    pad: &mut P,
    stop: &dyn Fn() -> bool,
) -> Result<Frame, Stop<R>> {
    let pad = RefCell::new(pad);
    let tampered = RefCell::new(None);
    let watch = || {
        if let Err(refusal) = pad.borrow_mut().poll() {
            *tampered.borrow_mut() = Some(refusal.to_string());
            return true;
        }
        stop()
    };
    let received = link.receive_unless(&watch);
    match (received, tampered.into_inner()) {
        (Err(LinkError::Stopped), Some(why)) => Err(Fault::from(R::not_permitted(why)).into()),
        (received, _) => Ok(received?),
    }
}

/// The records of the PIN pad's log that came after the first so many, newest four at most.
pub(crate) fn records_since(pad: &impl PinPad, before: u64) -> Vec<Fields> {
    let log = pad.refusals();
    let new = usize::try_from(log.total().saturating_sub(before)).unwrap_or(usize::MAX).min(4);
    let skipped = log.records().len().saturating_sub(new);
    log.records().skip(skipped).map(ChainedRefusal::fields).collect()
}

/// The records that the server does not know yet, for a message, and how many it knows after it.
pub(crate) fn unreported(pad: &impl PinPad) -> (Vec<Fields>, u64) {
    let (records, known) = pad.refusals().unreported();
    (records.iter().map(ChainedRefusal::fields).collect(), known)
}
