//! Lines of tests: a pseudo-terminal, and a pump that keeps the rate of a slow one.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::serial::{Serial, SerialAddress};

/// The far side of a pseudo-terminal.
pub(crate) struct Pseudo(File);

impl Pseudo {
    /// A pseudo-terminal, and the terminal's side of it at this rate.
    pub(crate) fn open(baud: u32) -> (Pseudo, Serial) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let far = Pseudo(File::from(master));
        let near = Serial::open(&far.address(baud)).unwrap();
        (far, near)
    }

    /// Its other side, to be opened once more.
    pub(crate) fn address(&self, baud: u32) -> SerialAddress {
        let path = ptsname(&self.0, Vec::new()).unwrap().into_string().unwrap();
        SerialAddress { path, baud }
    }

    /// Carries bytes between it and a stream for as long as both live, no faster than so many bits a second in each
    /// direction: ten bits a byte, with start and stop.
    pub(crate) fn pump(self, stream: UnixStream, baud: u32) {
        let (from, mut to) = (self.0.try_clone().unwrap(), stream.try_clone().unwrap());
        thread::spawn(move || carry(from, &mut to, baud));
        thread::spawn(move || carry(stream, &mut &self.0, baud));
    }
}

impl Read for Pseudo {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Pseudo {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn carry(mut from: impl Read, to: &mut impl Write, baud: u32) {
    let mut buffer = [0; 96];
    let mut free_at = Instant::now();
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        free_at = free_at.max(Instant::now())
            + Duration::from_secs_f64(f64::from(u32::try_from(count * 10).unwrap()) / f64::from(baud));
        thread::sleep(free_at.saturating_duration_since(Instant::now()));
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}
