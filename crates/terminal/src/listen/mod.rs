//! Listening for a station or a KLD (2-wire.md section 1): collecting, local loading and repair on one port, by the first
//! message of each flow.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | what happens, and who listens where |
//! | `conversation.rs` | one connection, or a bare line for as long as it is up |
//! | `callers.rs` | TCP: connections one after another, and who waits meanwhile |
//! | `line.rs` | serial lines and pseudo-terminals, which have no connections |
//! | `device_certificate.rs` | a station certifies the device key |
//! | `loading.rs` | a KLD loads a key |
//! | `repair.rs` | a station brings a repair authorisation |

mod callers;
mod conversation;
mod device_certificate;
mod line;
mod loading;
mod repair;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use wire::{ErrorCode, ErrorMessage, Kcv};

use crate::collect::DEFAULT_ADDRESS;
use crate::{Collector, LinkLimits, PinPad, Terminal};

pub(crate) use callers::serve_flows;
use conversation::{Ended, Line};
pub(crate) use line::serve_line_flows;
pub use line::{LineAddress, LinePort, NotALine};

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
    /// The line that the terminal listens on is gone: an adapter was unplugged. It listens again when the line is back.
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

/// Serves stations and KLDs on a line that has no connections, as [`serve`] does on a listener: when it is cut it is
/// served again as soon as it is back.
///
/// # Errors
/// None that a line can cause once it was open: it may be plugged in again. The system's, where it cannot be watched.
pub fn serve_line<P: PinPad>(
    port: &mut LinePort,
    terminal: &mut Terminal<P>,
    stop: &dyn Fn() -> bool,
    on_event: &mut dyn FnMut(&Event),
) -> io::Result<()> {
    serve_line_with(port, LinkLimits::default(), terminal, stop, on_event)
}

/// As [`serve_line`], with limits of one's own.
///
/// # Errors
/// As [`serve_line`].
pub fn serve_line_with<P: PinPad>(
    port: &mut LinePort,
    limits: LinkLimits,
    terminal: &mut Terminal<P>,
    stop: &dyn Fn() -> bool,
    on_event: &mut dyn FnMut(&Event),
) -> io::Result<()> {
    serve_line_flows(port, Flows::All, limits, terminal, stop, on_event)
}

/// The sensors between two flows: looked at every [`SENSE`].
#[derive(Default)]
struct Watch(Option<Instant>);

impl Watch {
    fn look<P: PinPad>(&mut self, terminal: &mut Terminal<P>, on_event: &mut dyn FnMut(&Event)) {
        if self.0.is_none_or(|at| at.elapsed() >= SENSE) {
            sense(terminal, on_event);
            self.0 = Some(Instant::now());
        }
    }
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
