//! Breaking off an exchange from outside: a wait of half a minute must not outlast the reason for it.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use wire::SerialAddress;

use super::Line;

/// How long a wait goes on before it looks whether it is to end.
const SLICE: Duration = Duration::from_millis(100);

/// Says, once and for all who have a copy, that every exchange ends.
#[derive(Debug, Clone, Default)]
pub struct Halt(Arc<AtomicBool>);

impl Halt {
    /// Ends them.
    pub fn now(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether that was said.
    pub fn is_said(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Connects, or gives up when told to. The attempt itself cannot be taken back: it ends by its own limit, and a connection
/// that comes of it later is closed unused.
pub(super) fn connect(to: SocketAddr, wait: Duration, halt: &Halt) -> io::Result<TcpStream> {
    let (sender, outcome) = mpsc::channel();
    let attempt = move || drop(sender.send(TcpStream::connect_timeout(&to, wait)));
    thread::Builder::new().name("connect".to_owned()).spawn(attempt)?;
    loop {
        match outcome.recv_timeout(SLICE) {
            Ok(outcome) => return outcome,
            Err(RecvTimeoutError::Timeout) if halt.is_said() => {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("the thread that connects failed"));
            }
        }
    }
}

/// A line whose reads end when a [`Halt`] says so, with `ConnectionAborted`. Writes go on: the peer is to be told why.
pub(super) struct Heeding {
    line: Box<dyn Line>,
    halt: Halt,
    wait: Duration,
}

impl Heeding {
    pub(super) fn new(line: Box<dyn Line>, halt: Halt) -> Heeding {
        Heeding { line, halt, wait: Duration::ZERO }
    }
}

impl Read for Heeding {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let until = Instant::now() + self.wait;
        loop {
            if self.halt.is_said() {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.line.read_within(left.min(SLICE))?;
            match self.line.read(buffer) {
                Err(error) if super::is_timeout(&error) => {}
                read => return read,
            }
        }
    }
}

impl Write for Heeding {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.line.flush()
    }
}

impl Line for Heeding {
    fn read_within(&mut self, wait: Duration) -> io::Result<()> {
        self.wait = wait;
        Ok(())
    }

    fn write_within(&mut self, wait: Duration) -> io::Result<()> {
        self.line.write_within(wait)
    }

    fn port(&self) -> Option<&SerialAddress> {
        self.line.port()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};

    use super::*;

    /// A port that is there and where no connection comes about: the queue of those who wait is full.
    #[test]
    fn a_connection_that_does_not_come_about_is_given_up_when_it_is_told_to() {
        let port = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&port, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        listen(&port, 0).unwrap();
        let to = SocketAddr::try_from(getsockname(&port).unwrap()).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&to, Duration::from_millis(300)) {
            waiting.push(stream);
            assert!(waiting.len() < 100, "this queue is never full");
        }
        let halt = Halt::default();
        let told = halt.clone();
        let attempt = thread::spawn(move || connect(to, Duration::from_secs(60), &told));
        halt.now();
        assert_eq!(attempt.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionAborted);
    }

    fn line() -> (Heeding, TcpStream, Halt) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let halt = Halt::default();
        (Heeding::new(Box::new(near), halt.clone()), listener.accept().unwrap().0, halt)
    }

    #[test]
    fn a_wait_ends_when_it_is_told_to_and_the_peer_can_still_be_told_why() {
        let (mut line, mut peer, halt) = line();
        line.read_within(Duration::from_secs(3600)).unwrap();
        let waiting = thread::spawn(move || {
            let ended = line.read(&mut [0]).unwrap_err().kind();
            line.write_within(Duration::from_secs(10)).unwrap();
            line.write_all(b"why").unwrap();
            ended
        });
        halt.now();
        assert_eq!(waiting.join().unwrap(), ErrorKind::ConnectionAborted);
        let mut told = [0; 3];
        peer.read_exact(&mut told).unwrap();
        assert_eq!(&told, b"why");
    }

    #[test]
    fn a_wait_that_is_not_told_to_end_ends_by_its_own_limit() {
        let (mut line, mut peer, _halt) = line();
        line.read_within(SLICE + SLICE / 2).unwrap();
        assert_eq!(line.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        peer.write_all(b"x").unwrap();
        line.read_within(Duration::from_secs(10)).unwrap();
        assert_eq!(line.read(&mut [0; 9]).unwrap(), 1);
    }
}
