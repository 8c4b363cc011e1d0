//! The station's link to a terminal: frames over TCP or a serial line, with the wire's limits of time (2-wire.md
//! section 1).

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use wire::{ErrorCode, Frame, FrameDecoder, Malformed, error_frame, limits};

/// How long a terminal may take to accept the connection, seconds. Not of the wire: a terminal in a back room that
/// does not answer by then is off, and the person at the station waits.
const CONNECT_SECONDS: u64 = 10;
/// Bytes taken from the socket at a time. An answer has about one kilobyte.
const READ_BYTES: usize = 4096;

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

/// Why a link gave no frame, or took none.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The name has no address, or no address accepted the connection.
    #[error("cannot be reached: {0}")]
    Unreachable(io::Error),
    /// No byte for too long, or one message took too long (code 000A).
    #[error("timeout: nothing, or too little, arrived in time")]
    Timeout,
    /// The peer closed before its message.
    #[error("closed the connection without an answer")]
    Closed,
    /// The peer closed inside its message.
    #[error("closed the connection in the middle of its answer")]
    Cut,
    /// The line broke.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// What came is no frame.
    #[error("sent no frame of this protocol: {0}")]
    Malformed(#[from] Malformed),
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
}

impl Line for TcpStream {
    fn read_within(&mut self, wait: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(wait))
    }

    fn write_within(&mut self, wait: Duration) -> io::Result<()> {
        self.set_write_timeout(Some(wait))
    }
}

/// A connection to one terminal.
pub struct Link {
    line: Box<dyn Line>,
    decoder: FrameDecoder,
    limits: LinkLimits,
}

impl Link {
    /// Connects to `host:port`, trying each address that the name has.
    ///
    /// # Errors
    /// [`LinkError::Unreachable`].
    pub fn connect(address: &str, limits: LinkLimits) -> Result<Link, LinkError> {
        let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for socket in address.to_socket_addrs().map_err(LinkError::Unreachable)? {
            match TcpStream::connect_timeout(&socket, limits.connect) {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(LinkError::Broken)?;
                    return Ok(Link::over(stream, limits));
                }
                Err(error) => last = error,
            }
        }
        Err(LinkError::Unreachable(last))
    }

    /// A link over a line that is open.
    pub fn over(line: impl Line + 'static, limits: LinkLimits) -> Link {
        Link { line: Box::new(line), decoder: FrameDecoder::new(), limits }
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// [`LinkError::Timeout`], [`LinkError::Broken`].
    pub fn send(&mut self, frame: &Frame) -> Result<(), LinkError> {
        let until = Instant::now() + self.limits.message;
        let mut rest = frame.bytes();
        while !rest.is_empty() {
            let wait = self.wait(until)?;
            self.line.write_within(wait).map_err(LinkError::Broken)?;
            match self.line.write(rest) {
                Ok(0) => return Err(LinkError::Broken(ErrorKind::WriteZero.into())),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(error)),
            }
        }
        Ok(())
    }

    /// Waits for one frame.
    ///
    /// # Errors
    /// Any [`LinkError`] but [`LinkError::Unreachable`].
    pub fn receive(&mut self) -> Result<Frame, LinkError> {
        let until = Instant::now() + self.limits.message;
        let mut buffer = [0; READ_BYTES];
        loop {
            if let Some(frame) = self.decoder.next()? {
                return Ok(frame);
            }
            let wait = self.wait(until)?;
            self.line.read_within(wait).map_err(LinkError::Broken)?;
            match self.line.read(&mut buffer) {
                Ok(0) if self.decoder.is_inside_frame() => return Err(LinkError::Cut),
                Ok(0) => return Err(LinkError::Closed),
                Ok(read) => self.decoder.push(buffer.get(..read).unwrap_or_default())?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(error)),
            }
        }
    }

    /// Tells the terminal why the flow ends, as far as it may know, and closes.
    pub fn end_with(mut self, code: ErrorCode) {
        // The terminal may be gone already: then there is nobody to tell.
        let _ = self.send(&error_frame(code, code.text()));
    }

    /// How long the next read or write may wait.
    fn wait(&self, until: Instant) -> Result<Duration, LinkError> {
        let left = until.saturating_duration_since(Instant::now());
        // The socket takes no timeout of zero.
        if left.is_zero() { Err(LinkError::Timeout) } else { Ok(left.min(self.limits.idle)) }
    }
}

/// Shows that there is one: a line has nothing to show.
impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn broken(error: io::Error) -> LinkError {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => LinkError::Timeout,
        _ => LinkError::Broken(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

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
