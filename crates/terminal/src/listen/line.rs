//! Listening on a line: a serial port, or a pseudo-terminal that the terminal makes.
//!
//! A line has no connections. What parts one exchange from the next is that both sides know how each ends; where one does
//! not end as it should, the rest of it is thrown away until the line was quiet for a moment, so that who tries again finds
//! a terminal that waits for a beginning.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::conversation::{AnyStream, End, converse, drain};
use super::{Event, Flows, Watch};
use crate::pty::Pty;
use crate::serial::{Serial, SerialAddress};
use crate::{Link, LinkLimits, PinPad, Terminal};

/// What the address of a pseudo-terminal begins with.
const PTY: &str = "pty:";
/// How often it is looked whether a line is back.
const BACK: Duration = Duration::from_millis(50);

/// Where a terminal listens that is not on a network: `serial:/dev/ttyS0?baud=9600`, or `pty:/run/terminal-7` for a
/// pseudo-terminal that it makes, with a symbolic link there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineAddress {
    /// A serial port.
    Serial(SerialAddress),
    /// Where the link to a pseudo-terminal is to be.
    Pty(PathBuf),
}

/// An address that is no line's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no line: write it as serial:/dev/ttyS0?baud=9600 or pty:/run/terminal")]
pub struct NotALine {
    text: String,
}

impl LineAddress {
    /// Whether a text is meant to be one, rather than an address and a port.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        SerialAddress::is_meant(text) || text.starts_with(PTY)
    }
}

impl FromStr for LineAddress {
    type Err = NotALine;

    fn from_str(text: &str) -> Result<LineAddress, NotALine> {
        let bad = || NotALine { text: text.to_owned() };
        match text.strip_prefix(PTY) {
            Some("") => Err(bad()),
            Some(path) => Ok(LineAddress::Pty(path.into())),
            None => text.parse().map(LineAddress::Serial).map_err(|_| bad()),
        }
    }
}

impl fmt::Display for LineAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineAddress::Serial(address) => address.fmt(f),
            LineAddress::Pty(path) => write!(f, "{PTY}{}", path.display()),
        }
    }
}

/// A line that is open to be listened on. A pseudo-terminal and its link go with it.
#[derive(Debug)]
pub struct LinePort(Kind);

#[derive(Debug)]
enum Kind {
    /// Opened anew each time that it was cut.
    Serial {
        address: SerialAddress,
        open: Option<Serial>,
    },
    Pty(Pty),
}

impl LinePort {
    /// Opens a serial port, or makes a pseudo-terminal.
    ///
    /// # Errors
    /// The system's: no such device, no line, no permission; something else has the link's name.
    pub fn open(address: &LineAddress) -> io::Result<LinePort> {
        Ok(LinePort(match address {
            LineAddress::Serial(address) => {
                let open = Serial::open_at_once(address)?;
                Kind::Serial { address: address.clone(), open: Some(open) }
            }
            LineAddress::Pty(link) => Kind::Pty(Pty::make(link)?),
        }))
    }

    /// The line when it is up; nothing while nobody is at the other end of a pseudo-terminal.
    fn stream(&mut self) -> io::Result<Option<AnyStream>> {
        Ok(match &mut self.0 {
            Kind::Serial { address, open } => Some(Box::new(match open.take() {
                Some(serial) => serial,
                None => Serial::open_at_once(address)?,
            })),
            Kind::Pty(pty) if pty.is_hung_up() => None,
            Kind::Pty(pty) => Some(Box::new(pty.stream()?)),
        })
    }

    /// The name of a port that can be pulled out. At a pseudo-terminal somebody opens the other end or does not.
    fn pulled_out(&self) -> Option<String> {
        match &self.0 {
            Kind::Serial { address, .. } => Some(address.path.clone()),
            Kind::Pty(_) => None,
        }
    }
}

/// Serves these flows on a line.
pub(crate) fn serve_line_flows<P: PinPad>(
    port: &mut LinePort,
    flows: Flows,
    limits: LinkLimits,
    terminal: &mut Terminal<P>,
    stop: &dyn Fn() -> bool,
    on_event: &mut dyn FnMut(&Event),
) -> io::Result<()> {
    let mut watch = Watch::default();
    let pulled_out = port.pulled_out();
    let mut is_gone = false;
    while !stop() {
        watch.look(terminal, on_event);
        if let Ok(Some(stream)) = port.stream() {
            if let (true, Some(line)) = (is_gone, &pulled_out) {
                on_event(&Event::LineBack { line: line.clone() });
            }
            let link = Link::with_limits(stream, limits);
            // A port that was open before this program was may have the rest of a message in it.
            if let End::Stopped = serve_up(link, pulled_out.is_some(), flows, terminal, stop, on_event) {
                return Ok(());
            }
            is_gone = false;
        }
        if let (false, Some(line)) = (is_gone, &pulled_out) {
            on_event(&Event::LineGone { line: line.clone() });
        }
        is_gone = true;
        std::thread::sleep(BACK);
    }
    Ok(())
}

/// Serves a line for as long as it is up.
fn serve_up<P: PinPad>(
    mut link: Link<AnyStream>,
    mut unclean: bool,
    flows: Flows,
    terminal: &mut Terminal<P>,
    stop: &dyn Fn() -> bool,
    on_event: &mut dyn FnMut(&Event),
) -> End {
    loop {
        if unclean && let Err(end) = drain(&mut link, terminal, stop, on_event) {
            return end;
        }
        match converse(&mut link, flows, terminal, (stop, &|_| false), on_event) {
            End::Over => unclean = true,
            end => return end,
        }
    }
}
