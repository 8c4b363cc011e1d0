//! Where a serial line is: the one way in which people write it, on both sides of it.

use alloc::{borrow::ToOwned, string::String};
use core::{fmt, str::FromStr};

/// What a serial address begins with.
const SCHEME: &str = "serial:";
/// Rate of a line that nothing is said of, bits a second.
const DEFAULT_BAUD: u32 = 9_600;

/// Where a serial line is and how fast: `serial:/dev/ttyS0?baud=9600`. Eight bits, no parity, one stop bit; 9 600 bits a
/// second where nothing is said of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SerialAddress {
    /// Its device file.
    pub path: String,
    /// Bits a second, [`SerialAddress::MIN_BAUD`] to [`SerialAddress::MAX_BAUD`].
    pub baud: u32,
}

/// An address that is no serial line's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no serial line: write it as serial:/dev/ttyS0?baud=9600")]
pub struct NotSerial {
    text: String,
}

impl SerialAddress {
    /// Slowest rate, bits a second: below it a TMS_CHALLENGE takes longer than a message may.
    pub const MIN_BAUD: u32 = 300;
    /// Fastest rate that serial ports are made for, bits a second.
    pub const MAX_BAUD: u32 = 4_000_000;

    /// Whether a text is meant to be one, rather than a host and a port.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }
}

impl FromStr for SerialAddress {
    type Err = NotSerial;

    fn from_str(text: &str) -> Result<SerialAddress, NotSerial> {
        let bad = || NotSerial { text: text.to_owned() };
        let rest = text.strip_prefix(SCHEME).ok_or_else(bad)?;
        let (path, baud) = match rest.split_once('?') {
            None => (rest, DEFAULT_BAUD),
            Some((path, query)) => {
                let digits = query.strip_prefix("baud=").ok_or_else(bad)?;
                (path, digits.parse().map_err(|_| bad())?)
            }
        };
        if path.is_empty() || !(Self::MIN_BAUD..=Self::MAX_BAUD).contains(&baud) {
            return Err(bad());
        }
        Ok(SerialAddress { path: path.to_owned(), baud })
    }
}

impl fmt::Display for SerialAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}?baud={}", self.path, self.baud)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        let address: SerialAddress = "serial:/dev/ttyUSB0?baud=115200".parse().unwrap();
        assert_eq!((address.path.as_str(), address.baud), ("/dev/ttyUSB0", 115_200));
        assert_eq!(address.to_string().parse(), Ok(address));
        assert_eq!("serial:/dev/ttyS0".parse::<SerialAddress>().unwrap().baud, 9_600);
        for bad in [
            "/dev/ttyS0",
            "serial:",
            "serial:?baud=9600",
            "serial:/dev/ttyS0?baud=",
            "serial:/dev/ttyS0?baud=299",
            "serial:/dev/ttyS0?baud=4000001",
            "serial:/dev/ttyS0?parity=even",
        ] {
            assert!(bad.parse::<SerialAddress>().is_err(), "{bad}");
        }
        assert!(SerialAddress::is_meant("serial:x") && !SerialAddress::is_meant("localhost:7801"));
    }
}
