//! A serial line: RS-232, USB that says it is one, a modem, a pseudo-terminal.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{self, ControlModes, OptionalActions, QueueSelector};

use wire::limits::IDLE_SECONDS;
pub use wire::{NotSerial, SerialAddress};

use crate::Stream;
use crate::link::QUIET;

/// Longest wait for that: a peer that still sends then is no peer that waits for us.
const NEVER_QUIET: Duration = Duration::from_secs(IDLE_SECONDS);

/// An open serial line. It has no ends of connections: what closes the one above it is silence, or an ERROR.
#[derive(Debug)]
pub struct Serial {
    fd: OwnedFd,
    /// Unknown where it is this side of a pseudo-terminal.
    baud: Option<u32>,
    read: Cell<Duration>,
    write: Cell<Duration>,
}

impl Serial {
    /// Opens a line and throws away what comes of an exchange before: a line has no connections, so the rest of a message
    /// that was cut would be taken for the beginning of the next one.
    ///
    /// # Errors
    /// The system's: no such device, no permission, no terminal line; `TimedOut` when the other side does not fall
    /// silent.
    pub fn open(address: &SerialAddress) -> io::Result<Serial> {
        let mut serial = Serial::open_at_once(address)?;
        serial.wait_for_quiet()?;
        Ok(serial)
    }

    /// Opens a line without waiting for it to be quiet.
    pub(crate) fn open_at_once(address: &SerialAddress) -> io::Result<Serial> {
        let fd = open(Path::new(&address.path))?;
        let mut line = termios::tcgetattr(&fd)?;
        line.make_raw();
        line.set_speed(address.baud)?;
        line.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
        line.control_modes -= ControlModes::CSTOPB;
        termios::tcsetattr(&fd, OptionalActions::Now, &line)?;
        termios::tcflush(&fd, QueueSelector::IOFlush)?;
        Ok(Serial::over(fd, Some(address.baud)))
    }

    /// A line that is open, raw and not blocking.
    pub(crate) fn over(fd: OwnedFd, baud: Option<u32>) -> Serial {
        let forever = Cell::new(Duration::MAX);
        Serial { fd, baud, read: forever.clone(), write: forever }
    }

    fn wait_for_quiet(&mut self) -> io::Result<()> {
        let until = Instant::now() + NEVER_QUIET;
        let before = self.read.replace(QUIET);
        let mut rest = [0; 256];
        while Instant::now() < until {
            match self.read(&mut rest) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    self.read.set(before);
                    return Ok(());
                }
                Ok(0) => return Err(io::ErrorKind::NotConnected.into()),
                read => read.map(drop)?,
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the other side of the line does not fall silent"))
    }

    /// Waits until the line can do this; an error of the kind `TimedOut` after so long.
    fn wait(&self, what: PollFlags, until: Option<Instant>) -> io::Result<()> {
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            // Longer than a timespec is for ever.
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut [PollFd::new(&self.fd, what)], left.as_ref()) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    // Not blocking: without it, opening would wait for a modem's carrier.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

impl Read for Serial {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let until = Instant::now().checked_add(self.read.get());
        loop {
            self.wait(PollFlags::IN, until)?;
            match rustix::io::read(&self.fd, &mut *buffer) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                // The other side of a pseudo-terminal, or the adapter, is gone.
                Err(Errno::IO | Errno::NXIO | Errno::NODEV) => return Ok(0),
                done => return Ok(done?),
            }
        }
    }
}

impl Write for Serial {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let until = Instant::now().checked_add(self.write.get());
        loop {
            self.wait(PollFlags::OUT, until)?;
            match rustix::io::write(&self.fd, bytes) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                done => return Ok(done?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Serial {
    fn limit(&self, read: Duration, write: Duration) -> io::Result<()> {
        self.read.set(read);
        self.write.set(write);
        Ok(())
    }

    fn shut(&mut self, how: Shutdown) {
        // A line has no end to be told. One that is cut gives nothing more of what came.
        if how == Shutdown::Both {
            let _ = termios::tcflush(&self.fd, QueueSelector::IOFlush);
        }
    }

    fn baud(&self) -> Option<u32> {
        self.baud
    }

    fn is_line(&self) -> bool {
        true
    }
}
