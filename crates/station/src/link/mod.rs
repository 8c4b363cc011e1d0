//! The link to a terminal: frames over TCP or a serial line, with the wire's limits of time (2-wire.md section 1).
//!
//! A serial line has no connections, so nothing but silence parts one exchange from the next. Before it says anything on
//! one, this side lets it fall quiet and throws away what comes meanwhile: the rest of an answer that was cut, an ERROR
//! of a terminal that waited in vain, noise.

mod error;
mod halt;
mod serial_line;

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    path::Path,
    time::{Duration, Instant},
};

use wire::{ErrorCode, Frame, FrameDecoder, MessageType, SerialAddress, error_frame, limits};

pub use error::{LinkError, Step};
pub use halt::Halt;
pub use serial_line::{DEFAULT_SPEED, SerialLine};

use halt::Heeding;

/// How long a terminal may take to accept the connection, seconds. Not of the wire: a terminal in a back room that
/// does not answer by then is off, and the person at the station waits.
const CONNECT_SECONDS: u64 = 10;
/// Bytes taken from the socket at a time. An answer has about one kilobyte.
const READ_BYTES: usize = 4096;
/// How long a serial line must be silent before something is said on it. Longer than a terminal waits that throws away
/// the rest of a message (0.3 s), so that it is ready when this side is.
const QUIET: Duration = Duration::from_millis(500);
/// Longest wait for that. Who still sends then sends to somebody else, or is broken.
const NEVER_QUIET: Duration = Duration::from_secs(limits::IDLE_SECONDS);
/// Bits that a byte takes on a line: start, eight, stop.
const BITS_A_BYTE: u64 = 10;

/// How long a link waits before it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkLimits {
    /// For each address of the terminal, until it accepts the connection.
    pub connect: Duration,
    /// Without a byte.
    pub idle: Duration,
    /// For one message, however steadily it drips.
    pub message: Duration,
}

impl Default for LinkLimits {
    /// 10 s to connect; 30 s without a byte and 300 s for one message, as 2-wire.md section 1 says.
    fn default() -> LinkLimits {
        LinkLimits {
            connect: Duration::from_secs(CONNECT_SECONDS),
            idle: Duration::from_secs(limits::IDLE_SECONDS),
            message: Duration::from_secs(limits::MESSAGE_SECONDS),
        }
    }
}

/// A blocking byte stream to a terminal that can be told how long to wait.
pub trait Line: Read + Write + Send {
    /// Sets how long the next read may take; at the end it fails with `WouldBlock` or `TimedOut`.
    ///
    /// # Errors
    /// The system's.
    fn read_within(&mut self, wait: Duration) -> io::Result<()>;

    /// Sets how long the next write may take.
    ///
    /// # Errors
    /// The system's.
    fn write_within(&mut self, wait: Duration) -> io::Result<()>;

    /// Which serial line it is; none where it is a connection, whose end the peer is told of.
    fn port(&self) -> Option<&SerialAddress> {
        None
    }
}

impl Line for TcpStream {
    fn read_within(&mut self, wait: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(wait))
    }

    fn write_within(&mut self, wait: Duration) -> io::Result<()> {
        self.set_write_timeout(Some(wait))
    }
}

/// A connection to one terminal, or a serial line to it.
pub struct Link {
    line: Box<dyn Line>,
    decoder: FrameDecoder,
    limits: LinkLimits,
    /// The message that left last.
    said: Option<MessageType>,
    /// How long what was written needs on the line, after the system has taken it.
    on_the_way: Duration,
}

impl Link {
    /// Connects to `host:port`, trying each address that the name has, or opens the serial line of a
    /// [`SerialAddress`] and lets it fall quiet.
    ///
    /// # Errors
    /// [`LinkError::Unreachable`]; for a serial line what [`SerialLine::open`] and [`Link::settle`] say.
    pub fn connect(address: &str, limits: LinkLimits) -> Result<Link, LinkError> {
        Link::connect_heeding(address, limits, &Halt::default())
    }

    /// The same, which breaks off when this is said: while it connects or settles, and later whenever it waits for an
    /// answer.
    ///
    /// # Errors
    /// As [`Link::connect`]; what was broken off is [`LinkError::Unreachable`], [`LinkError::Unplugged`] or
    /// [`LinkError::Broken`], and who said it knows why.
    pub fn connect_heeding(address: &str, limits: LinkLimits, halt: &Halt) -> Result<Link, LinkError> {
        if SerialAddress::is_meant(address) {
            let no_line = |_| LinkError::NoLine { path: crate::text::printable(address) };
            let serial: SerialAddress = address.parse().map_err(no_line)?;
            let line = SerialLine::open(Path::new(&serial.path), serial.baud)?;
            let mut link = Link::over(line, limits).heeding(halt.clone());
            link.settle()?;
            return Ok(link);
        }
        let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for socket in address.to_socket_addrs().map_err(LinkError::Unreachable)? {
            match halt::connect(socket, limits.connect, halt) {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(LinkError::Broken)?;
                    return Ok(Link::over(stream, limits).heeding(halt.clone()));
                }
                Err(error) if halt.is_said() => return Err(LinkError::Unreachable(error)),
                Err(error) => last = error,
            }
        }
        Err(LinkError::Unreachable(last))
    }

    /// A link over a line that is open.
    pub fn over(line: impl Line + 'static, limits: LinkLimits) -> Link {
        Link {
            line: Box::new(line),
            decoder: FrameDecoder::new(),
            limits,
            said: None,
            on_the_way: Duration::ZERO,
        }
    }

    /// The same link, which breaks off an answer that it waits for when this is said.
    #[must_use]
    pub fn heeding(mut self, halt: Halt) -> Link {
        self.line = Box::new(Heeding::new(self.line, halt));
        self
    }

    /// Whether this is a serial line: it carries no check of its own, and its peer sees no end of a connection.
    pub fn is_serial(&self) -> bool {
        self.line.port().is_some()
    }

    /// Lets a serial line fall quiet and throws away what comes meanwhile, so that an exchange begins at a beginning. A
    /// connection has nothing of another exchange in it.
    ///
    /// # Errors
    /// [`LinkError::NeverQuiet`], [`LinkError::Unplugged`].
    pub fn settle(&mut self) -> Result<(), LinkError> {
        let Some(port) = self.line.port() else { return Ok(()) };
        let never = LinkError::NeverQuiet { path: port.path.clone() };
        self.decoder = FrameDecoder::new();
        self.said = None;
        let until = Instant::now() + NEVER_QUIET;
        let mut rest = [0; READ_BYTES];
        while Instant::now() < until {
            self.line.read_within(QUIET).map_err(|error| self.broken(error))?;
            match self.line.read(&mut rest) {
                Ok(0) => return Err(self.gone(Step::BeforeAsking, LinkError::Closed)),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Ok(()),
                Err(error) => return Err(self.broken(error)),
            }
        }
        Err(never)
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// [`LinkError::Timeout`], [`LinkError::Broken`], [`LinkError::Unplugged`].
    pub fn send(&mut self, frame: &Frame) -> Result<(), LinkError> {
        let until = Instant::now() + self.limits.message;
        let kind = frame.kind().ok();
        let sending = kind.map_or(Step::BeforeAsking, Step::Sending);
        let mut rest = frame.bytes();
        while !rest.is_empty() {
            let wait = self.wait(until, self.limits.idle)?;
            self.line.write_within(wait).map_err(|error| self.broken(error))?;
            match self.line.write(rest) {
                Ok(0) => return Err(self.gone(sending, LinkError::Broken(ErrorKind::WriteZero.into()))),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(LinkError::Timeout),
                Err(error) => return Err(self.gone(sending, LinkError::Broken(error))),
            }
        }
        self.said = kind;
        self.on_the_way = self.line.port().map_or(Duration::ZERO, |port| {
            let bits = BITS_A_BYTE * frame.bytes().len() as u64;
            Duration::from_millis(1000 * bits / u64::from(port.baud.max(1)))
        });
        Ok(())
    }

    /// Waits for one frame.
    ///
    /// # Errors
    /// Any [`LinkError`] but those of opening.
    pub fn receive(&mut self) -> Result<Frame, LinkError> {
        let on_the_way = std::mem::take(&mut self.on_the_way);
        let until = Instant::now() + self.limits.message + on_the_way;
        // Nobody answers before the question has arrived.
        let mut idle = self.limits.idle + on_the_way;
        let mut buffer = [0; READ_BYTES];
        loop {
            if let Some(frame) = self.decoder.next()? {
                return Ok(frame);
            }
            let wait = self.wait(until, idle)?;
            self.line.read_within(wait).map_err(|error| self.broken(error))?;
            match self.line.read(&mut buffer) {
                Ok(0) if self.decoder.is_inside_frame() => return Err(self.broke_off(LinkError::Cut)),
                Ok(0) => return Err(self.broke_off(LinkError::Closed)),
                Ok(read) => {
                    idle = self.limits.idle;
                    self.decoder.push(buffer.get(..read).unwrap_or_default())?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(error)),
            }
        }
    }

    /// Tells the terminal why the flow ends, as far as it may know, and closes.
    ///
    /// On a serial line silence says that time is over, not an ERROR: a terminal that still waits for the rest of a
    /// message would take it for that, and begin to wait anew.
    pub fn end_with(mut self, code: ErrorCode) {
        if code == ErrorCode::Timeout && self.is_serial() {
            return;
        }
        // The terminal may be gone already: then there is nobody to tell.
        let _ = self.send(&error_frame(code, code.text()));
    }

    /// How long the next read or write may wait.
    fn wait(&self, until: Instant, idle: Duration) -> Result<Duration, LinkError> {
        let left = until.saturating_duration_since(Instant::now());
        // The socket takes no timeout of zero.
        if left.is_zero() { Err(LinkError::Timeout) } else { Ok(left.min(idle)) }
    }

    /// What a failed read or write means.
    fn broken(&self, error: io::Error) -> LinkError {
        if is_timeout(&error) { LinkError::Timeout } else { self.broke_off(LinkError::Broken(error)) }
    }

    /// The line is gone while an answer was awaited.
    fn broke_off(&self, error: LinkError) -> LinkError {
        let step = match self.said {
            None => Step::BeforeAsking,
            Some(said) if self.decoder.is_inside_frame() => Step::Answering(said),
            Some(said) => Step::Waiting(said),
        };
        self.gone(step, error)
    }

    /// What it means that the line is gone: of a connection this, of a serial line that it was unplugged.
    fn gone(&self, step: Step, error: LinkError) -> LinkError {
        match self.line.port() {
            Some(port) => LinkError::Unplugged { port: port.path.clone(), step },
            None => error,
        }
    }
}

/// Shows that there is one: a line has nothing to show.
impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The two kinds that systems give for a wait that ended.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use wire::Malformed;

    use super::*;

    const QUICK: LinkLimits = LinkLimits {
        connect: Duration::from_secs(2),
        idle: Duration::from_millis(600),
        message: Duration::from_millis(1500),
    };

    /// What the station receives from a peer that does this with its socket.
    fn receive_from(peer: impl FnOnce(TcpStream) + Send + 'static) -> Result<Frame, LinkError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let thread = thread::spawn(move || peer(listener.accept().unwrap().0));
        let received = Link::connect(&address, QUICK).unwrap().receive();
        thread.join().unwrap();
        received
    }

    #[test]
    fn defaults_are_the_wires() {
        let LinkLimits { idle, message, .. } = LinkLimits::default();
        assert_eq!((idle.as_secs(), message.as_secs()), (30, 300));
    }

    #[test]
    fn frame_in_pieces_arrives() {
        let frame = receive_from(|mut peer| {
            for byte in [0, 3, 1, 0x52, 9] {
                peer.write_all(&[byte]).unwrap();
                thread::sleep(Duration::from_millis(10));
            }
        });
        assert_eq!(frame.unwrap().payload(), [1, 0x52, 9]);
    }

    #[test]
    fn silence_is_a_timeout() {
        // Silent until the station gives up.
        let received = receive_from(|mut peer| drop(peer.read(&mut [0])));
        assert!(matches!(received, Err(LinkError::Timeout)), "{received:?}");
    }

    #[test]
    fn message_that_drips_for_too_long_is_a_timeout() {
        let started = Instant::now();
        let received = receive_from(|mut peer| {
            // Never idle, never complete.
            for _ in 0..60 {
                if peer.write_all(&[0xFF]).is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(50));
            }
        });
        assert!(matches!(received, Err(LinkError::Timeout)), "{received:?}");
        assert!(started.elapsed() >= QUICK.message);
    }

    #[test]
    fn close_before_and_inside_an_answer_differ() {
        assert!(matches!(receive_from(drop), Err(LinkError::Closed)));
        let cut = receive_from(|mut peer| peer.write_all(&[0, 9, 1]).unwrap());
        assert!(matches!(cut, Err(LinkError::Cut)), "{cut:?}");
    }

    #[test]
    fn frame_too_short_is_refused_by_name() {
        let received = receive_from(|mut peer| peer.write_all(&[0, 1, 1]).unwrap());
        assert!(matches!(received, Err(LinkError::Malformed(Malformed::FrameTooShort { length: 1 }))));
    }

    #[test]
    fn nobody_listening_is_unreachable() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        assert!(matches!(Link::connect(&address, QUICK), Err(LinkError::Unreachable(_))));
        assert!(matches!(Link::connect("no port", QUICK), Err(LinkError::Unreachable(_))));
    }
}
