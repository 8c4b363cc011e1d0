//! Listening for a station.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::time::Duration;

use wire::{ErrorCode, ErrorMessage, error_frame};

use super::{Refusal, answer};
use crate::{Collector, Link, LinkError, LinkLimits, PinPad, Terminal};

/// Where a terminal listens unless told otherwise: for a station on the same machine. One elsewhere needs an address
/// that it can reach, in a room where nobody else can.
pub const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, wire::limits::TERMINAL_PORT));

/// How often a listener without a caller looks whether it is to stop.
const POLL: Duration = Duration::from_millis(10);

/// What happens while a terminal is collected, for its display and log.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The terminal refused.
    Refused {
        /// What the station was told.
        code: ErrorCode,
        /// The exact reason.
        reason: String,
    },
    /// The station sent an ERROR.
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

/// Serves stations on this listener, one connection after another, until `stop` says so; it is asked many times a
/// second. Nothing that a station does ends it.
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
    listener.set_nonblocking(true)?;
    while !stop() {
        match listener.accept() {
            Ok((stream, peer)) => {
                on_event(&Event::Connected { peer });
                if let Err(error) = connection(stream, limits, terminal, stop, on_event) {
                    on_event(&Event::LinkFailed { reason: error.to_string() });
                }
            }
            Err(error) if is_passing(&error) => std::thread::sleep(POLL),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Serves one connection to its end.
fn connection<P: PinPad>(
    stream: TcpStream,
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
        let frame = match link.receive_unless(stop) {
            Ok(frame) => frame,
            Err(LinkError::Closed | LinkError::Stopped) => return Ok(()),
            Err(error) => {
                if let Some(code) = error.code() {
                    link.end_with(&error_frame(code, code.text()));
                }
                return Err(error);
            }
        };
        match answer(terminal, &frame) {
            Ok(answer) => {
                link.send(&answer.frame)?;
                on_event(&Event::Collected {
                    fingerprint: answer.fingerprint,
                    collector: answer.collector,
                    again: answer.again,
                });
            }
            Err(refusal) => {
                on_event(&event(&refusal));
                if let Some(error) = refusal.frame() {
                    link.end_with(&error);
                }
                return Ok(());
            }
        }
    }
}

fn event(refusal: &Refusal) -> Event {
    match refusal.fault.peer_error() {
        Some(message) => Event::PeerError { message: message.clone() },
        None => Event::Refused { code: refusal.fault.code, reason: refusal.fault.reason.to_string() },
    }
}

/// Whether accepting may go on: nobody was there, or the caller was gone again.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | ConnectionAborted | ConnectionReset)
}
