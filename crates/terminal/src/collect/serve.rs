//! Listening for a station and nobody else.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};

use wire::{ErrorCode, ErrorMessage};

use crate::listen::{self, Flows, LinePort, serve_flows, serve_line_flows};
use crate::{Collector, LinkLimits, PinPad, Terminal};

/// Where a terminal listens unless told otherwise: for a station on the same machine. One elsewhere needs an address
/// that it can reach, in a room where nobody else can.
pub const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, wire::limits::TERMINAL_PORT));

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
    /// The line that the terminal listens on is gone. It listens again when the line is back.
    LineGone {
        /// Which.
        line: String,
    },
    /// The line is back.
    LineBack {
        /// Which.
        line: String,
    },
}

/// Serves stations on this listener, one connection after another, until `stop` says so; it is asked many times a
/// second. Nothing that a station does ends it. [`listen::serve`] serves KLDs and repairs too.
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
    serve_flows(listener, Flows::Collecting, limits, terminal, stop, &mut |event| tell(event, on_event))
}

/// As [`serve`], on a line that has no connections ([`listen::serve_line`]).
///
/// # Errors
/// As [`listen::serve_line`].
pub fn serve_line<P: PinPad>(
    port: &mut LinePort,
    terminal: &mut Terminal<P>,
    stop: &dyn Fn() -> bool,
    on_event: &mut dyn FnMut(&Event),
) -> io::Result<()> {
    let mut heard = |event: &listen::Event| tell(event, on_event);
    serve_line_flows(port, Flows::Collecting, LinkLimits::default(), terminal, stop, &mut heard)
}

fn tell(event: &listen::Event, on_event: &mut dyn FnMut(&Event)) {
    if let Some(event) = translate(event.clone()) {
        on_event(&event);
    }
}

fn translate(event: listen::Event) -> Option<Event> {
    use listen::Event as Heard;
    Some(match event {
        Heard::Connected { peer } => Event::Connected { peer },
        Heard::Collected { fingerprint, collector, again } => {
            Event::Collected { fingerprint, collector, again }
        }
        Heard::Refused { code, reason } => Event::Refused { code, reason },
        Heard::Tampered { why } => Event::Refused { code: ErrorCode::NotPermittedNow, reason: why },
        Heard::PeerError { message } => Event::PeerError { message },
        Heard::LinkFailed { reason } => Event::LinkFailed { reason },
        Heard::LineGone { line } => Event::LineGone { line },
        Heard::LineBack { line } => Event::LineBack { line },
        Heard::Loaded { .. }
        | Heard::DeviceKeyAsked
        | Heard::DeviceCertified
        | Heard::Challenged
        | Heard::Repaired => return None,
    })
}
