//! Frames over a blocking byte stream, with the time limits of 2-wire.md section 1.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use wire::limits::{IDLE_SECONDS, MESSAGE_SECONDS};
use wire::{ErrorCode, Frame, FrameDecoder, Malformed};

/// Bytes read at a time: every message of flow A and of collecting fits.
const READ: usize = 8 * 1024;
/// Longest single wait, so that a stop is seen soon.
const SLICE: Duration = Duration::from_millis(200);
/// Shortest wait that a socket accepts.
const SHORTEST: Duration = Duration::from_millis(1);
/// How long a link that ends with an ERROR is read on, so that the peer gets the ERROR and no reset.
const LINGER: Duration = Duration::from_secs(1);
/// Most bytes that are read and thrown away meanwhile.
const MAX_LINGER: usize = 256 * 1024;
/// How long a line must say nothing before something new is begun on it: many times what a byte takes at the slowest
/// rate. A station waits longer before it tries again (0.5 s).
pub(crate) const QUIET: Duration = Duration::from_millis(300);
/// Bits that a byte takes on a line: start, eight, stop.
const BITS_A_BYTE: u64 = 10;

/// A blocking byte stream that can be told how long to wait.
pub trait Stream: Read + Write {
    /// Sets how long a read and a write may take.
    ///
    /// # Errors
    /// The system's.
    fn limit(&self, read: Duration, write: Duration) -> io::Result<()>;

    /// Ends this side's sending, or both directions at once.
    fn shut(&mut self, how: Shutdown);

    /// Bits a second that the line carries, where that is known and slow enough to matter.
    fn baud(&self) -> Option<u32> {
        None
    }

    /// Whether it is a bare line, on which one exchange follows another without an end in between, rather than a
    /// connection.
    fn is_line(&self) -> bool {
        false
    }
}

impl<S: Stream + ?Sized> Stream for Box<S> {
    fn limit(&self, read: Duration, write: Duration) -> io::Result<()> {
        (**self).limit(read, write)
    }

    fn shut(&mut self, how: Shutdown) {
        (**self).shut(how);
    }

    fn baud(&self) -> Option<u32> {
        (**self).baud()
    }

    fn is_line(&self) -> bool {
        (**self).is_line()
    }
}

impl Stream for TcpStream {
    fn limit(&self, read: Duration, write: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(read))?;
        self.set_write_timeout(Some(write))
    }

    fn shut(&mut self, how: Shutdown) {
        // A link that is down already needs no shutting.
        let _ = self.shutdown(how);
    }
}

impl Stream for UnixStream {
    fn limit(&self, read: Duration, write: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(read))?;
        self.set_write_timeout(Some(write))
    }

    fn shut(&mut self, how: Shutdown) {
        // As above.
        let _ = self.shutdown(how);
    }
}

/// Opens a TCP connection, waiting at most as long as for a byte.
///
/// # Errors
/// The system's: the last address's when there are several.
pub fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, Duration::from_secs(IDLE_SECONDS)) {
            Ok(stream) => {
                // Each message waits for its answer: batching small ones would only delay them.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// How long a link waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkLimits {
    /// Without a byte.
    pub idle: Duration,
    /// For one message, from its first byte to its last.
    pub message: Duration,
}

impl Default for LinkLimits {
    /// 30 s and 300 s (2-wire.md section 1).
    fn default() -> LinkLimits {
        LinkLimits { idle: Duration::from_secs(IDLE_SECONDS), message: Duration::from_secs(MESSAGE_SECONDS) }
    }
}

/// Why no frame came or left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer closed the connection between messages.
    #[error("the other side closed the connection")]
    Closed,
    /// The peer closed, or the line broke, in the middle of a message.
    #[error("the connection ended in the middle of a message")]
    Broken,
    /// No byte came for too long: 000A.
    #[error("nothing came for {} s", .0.as_secs())]
    Idle(Duration),
    /// One message took too long: 000A.
    #[error("one message took longer than {} s", .0.as_secs())]
    TooSlow(Duration),
    /// The stream holds no frames.
    #[error("what came is no frame: {0}")]
    Malformed(#[from] Malformed),
    /// This side was asked to stop.
    #[error("stopped")]
    Stopped,
    /// The system's reason.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

impl LinkError {
    /// The code that the peer is told, if there is still somebody to tell.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            LinkError::Idle(_) | LinkError::TooSlow(_) => Some(ErrorCode::Timeout),
            LinkError::Malformed(malformed) => Some(malformed.code()),
            LinkError::Closed | LinkError::Broken | LinkError::Stopped | LinkError::Io(_) => None,
        }
    }
}

/// Frames over a stream.
#[derive(Debug)]
pub struct Link<S> {
    stream: S,
    decoder: FrameDecoder,
    limits: LinkLimits,
    /// How long what was sent needs on the line, after the system has taken it: the peer's silence begins then.
    on_the_way: Duration,
}

impl<S: Stream> Link<S> {
    /// Frames over this stream, with the usual limits.
    pub fn new(stream: S) -> Link<S> {
        Link::with_limits(stream, LinkLimits::default())
    }

    /// Frames over this stream.
    pub fn with_limits(stream: S, limits: LinkLimits) -> Link<S> {
        Link { stream, decoder: FrameDecoder::new(), limits, on_the_way: Duration::ZERO }
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// [`LinkError::Idle`] when the peer takes nothing, [`LinkError::Io`].
    pub fn send(&mut self, frame: &Frame) -> Result<(), LinkError> {
        self.stream.limit(self.limits.idle, self.limits.idle)?;
        match self.stream.write_all(frame.bytes()).and_then(|()| self.stream.flush()) {
            Err(error) if is_timeout(&error) => Err(LinkError::Idle(self.limits.idle)),
            sent => {
                let bits = BITS_A_BYTE * frame.bytes().len() as u64;
                let takes = |baud: u32| Duration::from_millis(1000 * bits / u64::from(baud.max(1)));
                self.on_the_way = self.stream.baud().map_or(Duration::ZERO, takes);
                Ok(sent?)
            }
        }
    }

    /// Waits for a frame.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn receive(&mut self) -> Result<Frame, LinkError> {
        self.receive_unless(&|| false)
    }

    /// Waits for a frame until `stop` says to stop; it is asked a few times a second.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn receive_unless(&mut self, stop: &dyn Fn() -> bool) -> Result<Frame, LinkError> {
        self.receive_within(true, &|_| stop())
    }

    /// Waits for the frame that begins a flow, until `stop`, which is told whether a frame has begun, says to stop. On a
    /// bare line that may be for ever, since
    /// nobody is there between two exchanges; from the frame's first byte on its limits hold.
    ///
    /// # Errors
    /// [`LinkError`].
    pub(crate) fn receive_first_unless(&mut self, stop: &dyn Fn(bool) -> bool) -> Result<Frame, LinkError> {
        self.receive_within(!self.stream.is_line(), stop)
    }

    fn receive_within(&mut self, idle_before: bool, stop: &dyn Fn(bool) -> bool) -> Result<Frame, LinkError> {
        let mut last_byte = Instant::now() + std::mem::take(&mut self.on_the_way);
        let mut began = self.decoder.is_inside_frame().then_some(last_byte);
        let mut buffer = [0; READ];
        loop {
            if let Some(frame) = self.decoder.next()? {
                return Ok(frame);
            }
            if stop(began.is_some()) {
                return Err(LinkError::Stopped);
            }
            let waits_for_ever = !idle_before && began.is_none();
            let idle_left = match waits_for_ever {
                true => Duration::MAX,
                false => (last_byte + self.limits.idle).saturating_duration_since(Instant::now()),
            };
            if idle_left.is_zero() {
                return Err(LinkError::Idle(self.limits.idle));
            }
            let message_left = began
                .map_or(self.limits.message, |began| self.limits.message.saturating_sub(began.elapsed()));
            if message_left.is_zero() {
                return Err(LinkError::TooSlow(self.limits.message));
            }
            let wait = idle_left.min(message_left).min(SLICE).max(SHORTEST);
            self.stream.limit(wait, self.limits.idle)?;
            match self.stream.read(&mut buffer) {
                Ok(0) if self.decoder.is_inside_frame() => return Err(LinkError::Broken),
                Ok(0) => return Err(LinkError::Closed),
                Ok(count) => {
                    last_byte = Instant::now();
                    began = began.or(Some(last_byte));
                    self.decoder.push(buffer.get(..count).unwrap_or_default())?;
                }
                Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends an ERROR as well as it goes, and closes: after an ERROR both sides do (2-wire.md section 1).
    pub fn end_with(mut self, error: &Frame) {
        if self.send(error).is_ok() {
            self.linger();
        }
    }

    /// Closes after an ERROR of this side, so that it arrives.
    pub(crate) fn linger(mut self) {
        // Closing while something unread lies here would reset the connection, and the ERROR might be lost with it.
        self.stream.shut(Shutdown::Write);
        let until = Instant::now() + LINGER;
        let mut buffer = [0; READ];
        let mut thrown_away = 0;
        while thrown_away < MAX_LINGER {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stream.limit(left.max(SHORTEST), LINGER).is_err() {
                return;
            }
            match self.stream.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => thrown_away += count,
            }
        }
    }

    /// Throws away what comes until the line is quiet, so that what comes next is the beginning of something, or until
    /// `stop` says to stop; it is asked a few times a second.
    ///
    /// # Errors
    /// [`LinkError::Closed`], [`LinkError::Stopped`], [`LinkError::Io`].
    pub(crate) fn drain_unless(&mut self, stop: &dyn Fn() -> bool) -> Result<(), LinkError> {
        self.decoder = FrameDecoder::new();
        let mut quiet_at = Instant::now() + QUIET;
        let mut buffer = [0; READ];
        loop {
            if stop() {
                return Err(LinkError::Stopped);
            }
            let left = quiet_at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.stream.limit(left.min(SLICE).max(SHORTEST), self.limits.idle)?;
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(_) => quiet_at = Instant::now() + QUIET,
                Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends the connection as the peer expects it after a flow that went well.
    pub fn close(mut self) {
        self.stream.shut(Shutdown::Write);
    }

    /// Bits a second that the line carries, where it says so.
    pub fn baud(&self) -> Option<u32> {
        self.stream.baud()
    }

    /// Cuts the line, both directions.
    pub fn cut(&mut self) {
        self.stream.shut(Shutdown::Both);
    }
}

/// The two kinds that systems give for a wait that ended.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
