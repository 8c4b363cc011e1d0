//! A pseudo-terminal that this side makes, with a name that others find it by: a cable between programs of one machine.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::serial::Serial;

/// Where pseudo-terminals are: a link to there may be replaced, anything else may not.
const DEVICES: &str = "/dev/pts";

/// A pseudo-terminal and the symbolic link that leads to its other end. Both go with it.
#[derive(Debug)]
pub struct Pty {
    end: OwnedFd,
    device: PathBuf,
    link: PathBuf,
}

impl Pty {
    /// Makes one, raw, and a symbolic link to its other end at this path. A link that an earlier one left is replaced.
    ///
    /// # Errors
    /// The system's; `AlreadyExists` where something else is at the path.
    pub fn make(link: &Path) -> io::Result<Pty> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let end = openpt(flags)?;
        fcntl_setfl(&end, fcntl_getfl(&end)? | OFlags::NONBLOCK)?;
        grantpt(&end)?;
        unlockpt(&end)?;
        let device = ptsname(&end, Vec::new())?;
        let device = device.into_string().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        // Before anybody opens the other end: a line that echoes would answer this side with its own words.
        let mut modes = tcgetattr(&end)?;
        modes.make_raw();
        tcsetattr(&end, OptionalActions::Now, &modes)?;
        if leads_to_a_pty(link) {
            fs::remove_file(link)?;
        }
        symlink(&device, link)?;
        Ok(Pty { end, device: device.into(), link: link.to_owned() })
    }

    /// The device at its other end.
    #[must_use]
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// This side of it.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn stream(&self) -> io::Result<Serial> {
        Ok(Serial::over(fcntl_dupfd_cloexec(&self.end, 0)?, None))
    }

    /// Whether somebody had the other end open, and has it no more.
    pub(crate) fn is_hung_up(&self) -> bool {
        let mut ends = [PollFd::new(&self.end, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut ends, Some(&at_once)) {
            Ok(_) => ends.iter().any(|end| end.revents().contains(PollFlags::HUP)),
            Err(Errno::INTR) => true,
            Err(_) => false,
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Another one may have taken the name since.
        if fs::read_link(&self.link).is_ok_and(|there| there == self.device) {
            let _ = fs::remove_file(&self.link);
        }
    }
}

fn leads_to_a_pty(link: &Path) -> bool {
    fs::read_link(link).is_ok_and(|there| there.parent() == Some(Path::new(DEVICES)))
}
