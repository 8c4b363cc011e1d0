//! Where a terminal is, and which one is expected there.

use std::{fmt, fs, os::unix::fs::MetadataExt, str::FromStr};

use wire::{Serial, SerialAddress, limits::TERMINAL_PORT};

use crate::Error;

/// A terminal's address and, where it is known, its serial. Written `host:port`, `host` for the wire's port, or
/// `serial:/dev/ttyUSB0?baud=9600` for a serial line ([`SerialAddress`]); or with the serial before it:
/// `SN-1001@host:port`. An IPv6 address with a port stands in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    address: String,
    expected: Option<Serial>,
}

impl Target {
    /// The terminal at a serial line.
    pub fn at_line(line: &SerialAddress) -> Target {
        Target { address: line.to_string(), expected: None }
    }

    /// `host:port`, or the serial line's.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The serial that must answer there, if the run says so.
    pub fn expected(&self) -> Option<&Serial> {
        self.expected.as_ref()
    }

    /// What is at the address: a line's device has one number, however many names and speeds it is called by.
    pub(super) fn identity(&self) -> String {
        let number = |line: SerialAddress| fs::metadata(line.path).ok().map(|metadata| metadata.rdev());
        match self.line().and_then(number) {
            Some(number) => format!("device {number}"),
            None => self.address.clone(),
        }
    }

    /// The serial line that it is at; none for one of the network.
    pub fn line(&self) -> Option<SerialAddress> {
        self.address.parse().ok()
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Target, Error> {
        let bad = || Error::Target { text: crate::text::printable(text) };
        // The path of a line may have the character that stands behind a serial.
        let parted = if SerialAddress::is_meant(text) { None } else { text.split_once('@') };
        let (expected, place) = match parted {
            Some((serial, place)) => (Some(Serial::parse(serial).map_err(|_| bad())?), place),
            None => (None, text),
        };
        if SerialAddress::is_meant(place) {
            let line: SerialAddress = place.parse().map_err(|_| bad())?;
            if line.path.chars().any(char::is_control) {
                return Err(bad());
            }
            return Ok(Target { address: line.to_string(), expected });
        }
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or_else(bad)?,
            None => place.find(':').map_or((place, ""), |colon| place.split_at(colon)),
        };
        let port = match port.strip_prefix(':') {
            Some(digits) => digits.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(bad)?,
            None if port.is_empty() => TERMINAL_PORT,
            None => return Err(bad()),
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
            return Err(bad());
        }
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Ok(Target { address, expected })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.expected {
            Some(serial) => write!(f, "{serial}@{}", self.address),
            None => f.write_str(&self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_port_and_serial() {
        for (text, address, serial) in [
            ("till-7:9000", "till-7:9000", None),
            ("10.0.0.7", "10.0.0.7:7802", None),
            ("[::1]:9000", "[::1]:9000", None),
            ("[::1]", "[::1]:7802", None),
            ("SN-1001@till-7", "till-7:7802", Some("SN-1001")),
            ("serial:/dev/ttyUSB0", "serial:/dev/ttyUSB0?baud=9600", None),
            ("SN-1@serial:/dev/a@b?baud=115200", "serial:/dev/a@b?baud=115200", Some("SN-1")),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.line().is_some(), text.contains("serial:"));
            assert_eq!((target.address(), target.expected().map(Serial::as_str)), (address, serial));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            ":7802",
            "host:",
            "host:0",
            "host:65536",
            "a:b:c",
            "[::1",
            "[::1]x",
            "bad serial@host",
            "a b",
            "serial:",
            "serial:/dev/ttyS0?baud=9601x",
            "serial:/dev/tty\u{1B}[2J",
            "bad serial@serial:/dev/ttyS0",
        ] {
            assert!(matches!(text.parse::<Target>(), Err(Error::Target { .. })), "{text}");
        }
    }
}
