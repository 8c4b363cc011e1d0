//! What is said on one connection, or on a bare line for as long as it is up: flows one after another, until somebody
//! refuses, closes or is too slow.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use flows::{Fault, HasCode};
use wire::{ErrorCode, ErrorMessage, Frame, MessageType, error_frame, error_frame_with_refusals};

use super::{Event, Flows, device_certificate, loading, repair, sense};
use crate::collect::answer;
use crate::conversation::{NotPermitted, Stop, receive_unless, records_since};
use crate::{Link, LinkError, PinPad, Stream, Terminal};

/// The stream of either kind.
pub(super) type AnyStream = Box<dyn Stream>;
/// Whether a caller that has begun nothing for so long is to give way to another.
pub(super) type Yields<'a> = &'a dyn Fn(Duration) -> bool;

/// How a conversation ended.
pub(super) enum End {
    /// This side was asked to stop, or to serve somebody else.
    Stopped,
    /// The other side closed, or the line is gone.
    Gone,
    /// An ERROR left or came, or the other side was too slow to be told: what still comes belongs to nothing.
    Over,
}

/// Serves flow after flow until the conversation ends. What failed is told; a caller that only closed is not.
pub(super) fn converse<P: PinPad>(
    link: &mut Link<AnyStream>,
    flows: Flows,
    terminal: &mut Terminal<P>,
    (stop, yields): (&dyn Fn() -> bool, Yields<'_>),
    on_event: &mut dyn FnMut(&Event),
) -> End {
    loop {
        let frame = match first_message(link, terminal, (stop, yields), on_event) {
            Ok(frame) => frame,
            Err(LinkError::Stopped) => return End::Stopped,
            Err(LinkError::Closed) => return End::Gone,
            Err(error) => return failed(link, &error, on_event),
        };
        let before = terminal.pad.refusals().total();
        let mut line = Line { link, stop };
        match flow(flows, terminal, &mut line, &frame) {
            Ok(event) => on_event(&event),
            Err(Ended::Link(LinkError::Stopped)) => return End::Stopped,
            Err(Ended::Link(error)) => return failed(link, &error, on_event),
            Err(Ended::Peer(message)) => {
                on_event(&Event::PeerError { message });
                return End::Over;
            }
            Err(Ended::Refused { code, reason, text }) => {
                on_event(&Event::Refused { code, reason });
                let records = records_since(&terminal.pad, before);
                // Who is gone need not be told.
                let _ = link.send(&error_frame_with_refusals(code, &text, &records));
                return End::Over;
            }
        }
    }
}

/// Tells both sides of a trouble of the link.
fn failed(link: &mut Link<AnyStream>, error: &LinkError, on_event: &mut dyn FnMut(&Event)) -> End {
    if let Some(code) = error.code() {
        // As above.
        let _ = link.send(&error_frame(code, code.text()));
    }
    on_event(&Event::LinkFailed { reason: error.to_string() });
    if error.code().is_some() { End::Over } else { End::Gone }
}

/// Waits for the message that begins a flow. A caller who says nothing does not keep the terminal from its sensors, and
/// gives way when it has been silent for as long as `yields` says.
fn first_message<P: PinPad>(
    link: &mut Link<AnyStream>,
    terminal: &mut Terminal<P>,
    (stop, yields): (&dyn Fn() -> bool, Yields<'_>),
    on_event: &mut dyn FnMut(&Event),
) -> Result<Frame, LinkError> {
    let since = Instant::now();
    let watched = RefCell::new((terminal, on_event));
    link.receive_first_unless(&|begun| {
        let (terminal, on_event) = &mut *watched.borrow_mut();
        sense(terminal, *on_event);
        stop() || (!begun && yields(since.elapsed()))
    })
}

/// Throws away what comes on a line until it is quiet, and looks at the sensors meanwhile.
pub(super) fn drain<P: PinPad>(
    link: &mut Link<AnyStream>,
    terminal: &mut Terminal<P>,
    stop: &dyn Fn() -> bool,
    on_event: &mut dyn FnMut(&Event),
) -> Result<(), End> {
    let watched = RefCell::new((terminal, on_event));
    let drained = link.drain_unless(&|| {
        let (terminal, on_event) = &mut *watched.borrow_mut();
        sense(terminal, *on_event);
        stop()
    });
    drained.map_err(|error| if matches!(error, LinkError::Stopped) { End::Stopped } else { End::Gone })
}

/// Runs the flow that this message begins.
fn flow<P: PinPad>(
    flows: Flows,
    terminal: &mut Terminal<P>,
    line: &mut Line<'_>,
    frame: &Frame,
) -> Result<Event, Ended> {
    match frame.kind() {
        Ok(MessageType::KldConnect) if flows == Flows::All => loading::serve(terminal, line, frame),
        Ok(MessageType::DeviceAsk) if flows == Flows::All => device_certificate::ask(terminal, line, frame),
        Ok(MessageType::DeviceCertificate) if flows == Flows::All => {
            device_certificate::offered(terminal, line, frame)
        }
        Ok(MessageType::RepairAsk) if flows == Flows::All => repair::ask(terminal, line, frame),
        Ok(MessageType::Repair) if flows == Flows::All => repair::authorised(terminal, line, frame),
        _ => {
            let answer =
                answer(terminal, frame).map_err(|refusal| Ended::of(&refusal.fault, Some(refusal.text)))?;
            line.link.send(&answer.frame)?;
            let (fingerprint, collector) = (answer.fingerprint, answer.collector);
            Ok(Event::Collected { fingerprint, collector, again: answer.again })
        }
    }
}

/// A connection, and who may end it.
pub(super) struct Line<'a> {
    pub(super) link: &'a mut Link<AnyStream>,
    stop: &'a dyn Fn() -> bool,
}

impl Line<'_> {
    pub(super) fn receive<P: PinPad, R: NotPermitted>(&mut self, pad: &mut P) -> Result<Frame, Stop<R>> {
        receive_unless(self.link, pad, self.stop)
    }
}

/// Why a flow on this connection ended.
pub(super) enum Ended {
    Refused { code: ErrorCode, reason: String, text: String },
    Peer(ErrorMessage),
    Link(LinkError),
}

impl Ended {
    /// A fault, with a text for the technician where there is a better one than the reason.
    pub(super) fn of<R: HasCode>(fault: &Fault<R>, text: Option<String>) -> Ended {
        if let Some(message) = fault.peer_error() {
            return Ended::Peer(message.clone());
        }
        let reason = fault.reason.to_string();
        let text = match (fault.code, text) {
            // Something internal is for the terminal's own log.
            (ErrorCode::Internal, _) => fault.code.text().to_owned(),
            (_, text) => text.unwrap_or_else(|| reason.clone()),
        };
        Ended::Refused { code: fault.code, reason, text }
    }
}

impl<R: HasCode> From<Fault<R>> for Ended {
    fn from(fault: Fault<R>) -> Ended {
        Ended::of(&fault, None)
    }
}

impl<R: HasCode> From<Stop<R>> for Ended {
    fn from(stop: Stop<R>) -> Ended {
        match stop {
            Stop::Fault(fault) => fault.into(),
            Stop::Link(error) => Ended::Link(error),
        }
    }
}

impl From<LinkError> for Ended {
    fn from(error: LinkError) -> Ended {
        Ended::Link(error)
    }
}
