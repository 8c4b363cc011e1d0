//! Where a terminal is, and which one is expected there.

use std::{fmt, str::FromStr};

use wire::{Serial, limits::TERMINAL_PORT};

use crate::Error;

/// A terminal's address and, where it is known, its serial. Written `host:port`, `host` for the wire's port, or with
/// the serial before it: `SN-1001@host:port`. An IPv6 address with a port stands in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    address: String,
    expected: Option<Serial>,
}

impl Target {
    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The serial that must answer there, if the run says so.
    pub fn expected(&self) -> Option<&Serial> {
        self.expected.as_ref()
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Target, Error> {
        let bad = || Error::Target { text: crate::text::printable(text) };
        let (expected, place) = match text.split_once('@') {
            Some((serial, place)) => (Some(Serial::parse(serial).map_err(|_| bad())?), place),
            None => (None, text),
        };
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
        ] {
            let target: Target = text.parse().unwrap();
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
        ] {
            assert!(matches!(text.parse::<Target>(), Err(Error::Target { .. })), "{text}");
        }
    }
}
