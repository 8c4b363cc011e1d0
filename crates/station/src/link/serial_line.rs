//! A serial line or a pseudo-terminal: raw, 8N1, no flow control. Stations and KLDs reach terminals over it.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
    termios::{
        ControlModes, OptionalActions, QueueSelector, SpecialCodeIndex, ioctl_tiocexcl, ioctl_tiocnxcl,
        tcflush, tcgetattr, tcsetattr,
    },
};
use wire::SerialAddress;

use super::{Line, LinkError};

/// The speed of a line where an option of its own says it, unless told otherwise, bits per second.
pub const DEFAULT_SPEED: u32 = 115_200;

/// An open line. One process has it at a time.
#[derive(Debug)]
pub struct SerialLine {
    file: File,
    address: SerialAddress,
    read_wait: Duration,
    write_wait: Duration,
}

impl SerialLine {
    /// Opens the line, takes it for this process alone, sets it to 8 bits, no parity, one stop bit and this speed, bits
    /// per second, and throws away what came before.
    ///
    /// # Errors
    /// [`LinkError::NothingPlugged`], [`LinkError::NoLine`], [`LinkError::LineInUse`], [`LinkError::Line`].
    pub fn open(path: &Path, speed: u32) -> Result<SerialLine, LinkError> {
        let address = SerialAddress { path: path.to_string_lossy().into_owned(), baud: speed };
        let named = || address.path.clone();
        let failed = |source: io::Error| match Errno::from_io_error(&source) {
            Some(Errno::NOENT | Errno::NXIO | Errno::NODEV) => LinkError::NothingPlugged { path: named() },
            Some(Errno::BUSY | Errno::WOULDBLOCK) => LinkError::LineInUse { path: named() },
            Some(Errno::NOTTY) => LinkError::NoLine { path: named() },
            _ => LinkError::Line { path: named(), source },
        };
        let kind = std::fs::metadata(path).map_err(failed)?.file_type();
        if !kind.is_char_device() {
            return Err(LinkError::NoLine { path: named() });
        }
        // Without O_NONBLOCK opening waits for a modem's carrier, without O_NOCTTY a line could become our terminal.
        let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits().cast_signed();
        let file = File::options().read(true).write(true).custom_flags(flags).open(path).map_err(failed)?;
        set(&file, speed).map_err(|errno| failed(errno.into()))?;
        Ok(SerialLine { file, address, read_wait: Duration::ZERO, write_wait: Duration::ZERO })
    }

    /// Waits until the line is ready.
    fn wait(&self, what: PollFlags, until: Instant) -> io::Result<()> {
        let mut lines = [PollFd::new(&self.file, what)];
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        match poll(&mut lines, Some(&left)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            // A signal: the caller tries, and comes back.
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn set(file: &File, speed: u32) -> Result<(), Errno> {
    let mut modes = tcgetattr(file)?;
    // Two programs of one administrator, whom exclusive use does not keep out.
    flock(file, FlockOperation::NonBlockingLockExclusive)?;
    modes.make_raw();
    modes.control_modes &= !(ControlModes::CSTOPB | ControlModes::PARENB | ControlModes::CRTSCTS);
    modes.control_modes |= ControlModes::CS8 | ControlModes::CLOCAL | ControlModes::CREAD;
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    modes.set_speed(speed)?;
    tcsetattr(file, OptionalActions::Now, &modes)?;
    ioctl_tiocexcl(file)?;
    tcflush(file, QueueSelector::IOFlush)
}

impl Drop for SerialLine {
    /// Leaves nothing behind for the next one who opens it: no bytes that nobody read, and no exclusive use, which a
    /// pseudo-terminal keeps for as long as its other end lives.
    fn drop(&mut self) {
        // A line that is gone has neither.
        let _ = tcflush(&self.file, QueueSelector::IFlush);
        let _ = ioctl_tiocnxcl(&self.file);
    }
}

impl Read for SerialLine {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let until = Instant::now() + self.read_wait;
        loop {
            self.wait(PollFlags::IN, until)?;
            match self.file.read(buffer) {
                // How a pseudo-terminal says that nobody is at its other end any more, and how a port says that its
                // adapter was pulled out.
                Err(error) if is_gone(&error) => return Ok(0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

impl Write for SerialLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let until = Instant::now() + self.write_wait;
        loop {
            self.wait(PollFlags::OUT, until)?;
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::NXIO | Errno::NODEV))
}

impl Line for SerialLine {
    fn read_within(&mut self, wait: Duration) -> io::Result<()> {
        self.read_wait = wait;
        Ok(())
    }

    fn write_within(&mut self, wait: Duration) -> io::Result<()> {
        self.write_wait = wait;
        Ok(())
    }

    fn port(&self) -> Option<&SerialAddress> {
        Some(&self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = SerialLine::open(file.path(), DEFAULT_SPEED);
        assert!(matches!(refused, Err(LinkError::NoLine { .. })), "{refused:?}");
    }

    #[test]
    fn a_device_that_is_no_line_is_refused() {
        let refused = SerialLine::open(Path::new("/dev/null"), DEFAULT_SPEED);
        assert!(matches!(refused, Err(LinkError::NoLine { .. })), "{refused:?}");
    }

    #[test]
    fn a_path_without_a_device_says_that_nothing_is_plugged_in() {
        let refused = SerialLine::open(Path::new("/dev/none-of-this-name"), DEFAULT_SPEED);
        assert!(matches!(refused, Err(LinkError::NothingPlugged { .. })), "{refused:?}");
    }
}
