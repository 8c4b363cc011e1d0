//! Listening for a station or a KLD (2-wire.md section 1): collecting, local loading and repair on one port, by the first
//! message of each flow.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | the listener, its events |
//! | `device_certificate.rs` | a station certifies the device key |
//! | `loading.rs` | a KLD loads a key |
//! | `repair.rs` | a station brings a repair authorisation |

mod device_certificate;
mod loading;
mod repair;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use flows::{Fault, HasCode};
use wire::{ErrorCode, ErrorMessage, Frame, Kcv, MessageType, error_frame, error_frame_with_refusals};

use crate::collect::{DEFAULT_ADDRESS, answer};
use crate::conversation::{NotPermitted, Stop, receive_unless, records_since};
use crate::{Collector, Link, LinkError, LinkLimits, PinPad, Terminal};

/// Where a terminal listens unless told otherwise.
pub const ADDRESS: SocketAddr = DEFAULT_ADDRESS;

/// How often a listener without a caller looks whether it is to stop.
const POLL: Duration = Duration::from_millis(10);
/// How often it looks at the sensors meanwhile.
const SENSE: Duration = Duration::from_millis(100);

/// What happens while a terminal listens, for its display and log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Somebody connected.
    Connected {
        /// From where.
        peer: SocketAddr,
    },
    /// COLLECTED has left.
    Collected {
        /// To be shown: station and KMS show the same 20 hex digits.
        fingerprint: String,
        /// For whom.
        collector: Collector,
        /// Whether it is what the same certificate got before.
        again: bool,
    },
    /// A KLD loaded a key, and its DONE arrived.
    Loaded {
        /// The key's check value, which the KLD shows too.
        kcv: Kcv,
    },
    /// A station has the PIN pad's request for its device certificate.
    DeviceKeyAsked,
    /// The device certificate is installed.
    DeviceCertified,
    /// A station has the challenge that a repair authorisation must answer.
    Challenged,
    /// A repair authorisation was good: every key is wiped, the terminal is in repair.
    Repaired,
    /// Tampering was found while nobody asked for anything; what it demands is done.
    Tampered {
        /// What was found.
        why: String,
    },
    /// The terminal refused.
    Refused {
        /// What the other side was told.
        code: ErrorCode,
        /// The exact reason.
        reason: String,
    },
    /// The other side sent an ERROR.
    PeerError {
        /// What it said.
        message: ErrorMessage,
    },
    /// The connection failed or was too slow.
    LinkFailed {
        /// How.
        reason: String,
    },
}

/// Which flows are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flows {
    /// All that a terminal listens for.
    All,
    /// COLLECT alone.
    Collecting,
}

/// Serves stations and KLDs on this listener, one connection after another, until `stop` says so; it is asked many times
/// a second. Between, the terminal looks at its sensors. Nothing that a peer does ends it.
///
/// # Errors
/// When the listener itself fails.
pub fn serve<P: PinPad>(
    listener: &TcpListener,
    terminal: &mut Terminal<P>,
    stop: &dyn Fn() -> bool,
    on_event: &mut dyn FnMut(&Event),
) -> io::Result<()> {
    serve_with(listener, LinkLimits::default(), terminal, stop, on_event)
}

/// As [`serve`], with limits of one's own.
///
/// # Errors
/// As [`serve`].
pub fn serve_with<P: PinPad>(
    listener: &TcpListener,
    limits: LinkLimits,
    terminal: &mut Terminal<P>,
    stop: &dyn Fn() -> bool,
    on_event: &mut dyn FnMut(&Event),
) -> io::Result<()> {
    serve_flows(listener, Flows::All, limits, terminal, stop, on_event)
}

pub(crate) fn serve_flows<P: PinPad>(
    listener: &TcpListener,
    flows: Flows,
    limits: LinkLimits,
    terminal: &mut Terminal<P>,
    stop: &dyn Fn() -> bool,
    on_event: &mut dyn FnMut(&Event),
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut sensed: Option<Instant> = None;
    while !stop() {
        if sensed.is_none_or(|at| at.elapsed() >= SENSE) {
            sense(terminal, on_event);
            sensed = Some(Instant::now());
        }
        match listener.accept() {
            Ok((stream, peer)) => {
                on_event(&Event::Connected { peer });
                if let Err(error) = connection(stream, flows, limits, terminal, stop, on_event) {
                    on_event(&Event::LinkFailed { reason: error.to_string() });
                }
            }
            Err(error) if is_passing(&error) => std::thread::sleep(POLL),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Looks at the sensors; tells of tampering once, when it has changed something.
fn sense<P: PinPad>(terminal: &mut Terminal<P>, on_event: &mut dyn FnMut(&Event)) {
    let before = terminal.pad.refusals().total();
    if let Err(refusal) = terminal.pad.poll()
        && terminal.pad.refusals().total() > before
    {
        on_event(&Event::Tampered { why: refusal.to_string() });
    }
}

/// Serves one connection to its end.
fn connection<P: PinPad>(
    stream: TcpStream,
    flows: Flows,
    limits: LinkLimits,
    terminal: &mut Terminal<P>,
    stop: &dyn Fn() -> bool,
    on_event: &mut dyn FnMut(&Event),
) -> Result<(), LinkError> {
    // Some systems hand the listener's mode on.
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    let mut link = Link::with_limits(stream, limits);
    loop {
        let frame = match first_message(&mut link, terminal, stop, on_event) {
            Ok(frame) => frame,
            Err(LinkError::Closed | LinkError::Stopped) => return Ok(()),
            Err(error) => {
                if let Some(code) = error.code() {
                    link.end_with(&error_frame(code, code.text()));
                }
                return Err(error);
            }
        };
        let before = terminal.pad.refusals().total();
        let mut line = Line { link: &mut link, stop };
        match flow(flows, terminal, &mut line, &frame) {
            Ok(event) => on_event(&event),
            Err(Ended::Link(error)) => {
                if let Some(code) = error.code() {
                    link.end_with(&error_frame(code, code.text()));
                }
                return if matches!(error, LinkError::Stopped) { Ok(()) } else { Err(error) };
            }
            Err(Ended::Peer(message)) => {
                on_event(&Event::PeerError { message });
                return Ok(());
            }
            Err(Ended::Refused { code, reason, text }) => {
                on_event(&Event::Refused { code, reason });
                let records = records_since(&terminal.pad, before);
                link.end_with(&error_frame_with_refusals(code, &text, &records));
                return Ok(());
            }
        }
    }
}

/// Waits for the message that begins a flow. A caller who says nothing does not keep the terminal from its sensors.
fn first_message<P: PinPad>(
    link: &mut Link<TcpStream>,
    terminal: &mut Terminal<P>,
    stop: &dyn Fn() -> bool,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Frame, LinkError> {
    let watched = RefCell::new((terminal, on_event));
    link.receive_unless(&|| {
        let (terminal, on_event) = &mut *watched.borrow_mut();
        sense(terminal, *on_event);
        stop()
    })
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
struct Line<'a> {
    link: &'a mut Link<TcpStream>,
    stop: &'a dyn Fn() -> bool,
}

impl Line<'_> {
    fn receive<P: PinPad, R: NotPermitted>(&mut self, pad: &mut P) -> Result<Frame, Stop<R>> {
        receive_unless(self.link, pad, self.stop)
    }
}

/// Why a flow on this connection ended.
enum Ended {
    Refused { code: ErrorCode, reason: String, text: String },
    Peer(ErrorMessage),
    Link(LinkError),
}

impl Ended {
    /// A fault, with a text for the technician where there is a better one than the reason.
    fn of<R: HasCode>(fault: &Fault<R>, text: Option<String>) -> Ended {
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

/// Whether accepting may go on: nobody was there, or the caller was gone again.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | ConnectionAborted | ConnectionReset)
}
