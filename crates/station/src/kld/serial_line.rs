//! A serial line or a pseudo-terminal: raw, 8N1, no flow control.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
    io::Errno,
    termios::{
        ControlModes, OptionalActions, QueueSelector, SpecialCodeIndex, ioctl_tiocexcl, tcflush, tcgetattr,
        tcsetattr,
    },
};

use super::KldError;
use crate::link::Line;

/// The speed of a line unless told otherwise, bits per second.
pub const DEFAULT_SPEED: u32 = 115_200;

/// An open line. One process has it at a time.
#[derive(Debug)]
pub struct SerialLine {
    file: File,
    read_wait: Duration,
    write_wait: Duration,
}

impl SerialLine {
    /// Opens the line, takes it for this process alone, sets it to 8 bits, no parity, one stop bit and this speed, and
    /// throws away what came before.
    ///
    /// # Errors
    /// [`KldError::NoDevice`], [`KldError::Device`].
    pub fn open(path: &Path, speed: u32) -> Result<SerialLine, KldError> {
        let failed = |source: io::Error| KldError::Device { path: path.to_owned(), source };
        let kind = std::fs::metadata(path).map_err(failed)?.file_type();
        if !kind.is_char_device() {
            return Err(KldError::NoDevice { path: path.to_owned() });
        }
        // Without O_NONBLOCK opening waits for a modem's carrier, without O_NOCTTY a line could become our terminal.
        let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits().cast_signed();
        let file = File::options().read(true).write(true).custom_flags(flags).open(path).map_err(failed)?;
        set(&file, speed).map_err(|errno| failed(errno.into()))?;
        Ok(SerialLine { file, read_wait: Duration::ZERO, write_wait: Duration::ZERO })
    }

    /// Waits until the line is ready.
    fn wait(&self, what: PollFlags, wait: Duration) -> io::Result<()> {
        let mut lines = [PollFd::new(&self.file, what)];
        let wait = Timespec::try_from(wait).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        match poll(&mut lines, Some(&wait))? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }
}

fn set(file: &File, speed: u32) -> Result<(), Errno> {
    let mut modes = tcgetattr(file)?;
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

impl Read for SerialLine {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(PollFlags::IN, self.read_wait)?;
        match self.file.read(buffer) {
            // How a pseudo-terminal says that nobody is at its other end any more.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => Ok(0),
            read => read,
        }
    }
}

impl Write for SerialLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(PollFlags::OUT, self.write_wait)?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = SerialLine::open(file.path(), DEFAULT_SPEED);
        assert!(matches!(refused, Err(KldError::NoDevice { .. })), "{refused:?}");
    }

    #[test]
    fn a_device_without_a_line_is_refused() {
        let refused = SerialLine::open(Path::new("/dev/null"), DEFAULT_SPEED);
        assert!(matches!(refused, Err(KldError::Device { .. })), "{refused:?}");
        let refused = SerialLine::open(Path::new("/dev/none-of-this-name"), DEFAULT_SPEED);
        assert!(matches!(refused, Err(KldError::Device { .. })), "{refused:?}");
    }
}
