//! Cryptographic suites.

use core::fmt;

/// The suite that a message names (DF01). Any byte is one; which are supported is for the flow to say, because the
/// refusal (0009) is told only to a proven peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Suite(u8);

impl Suite {
    /// `01`: TDES suite (2-wire.md section 4).
    pub const TDES: Suite = Suite(0x01);
    /// `02`: EC/AES suite (3-hardened.md).
    pub const EC_AES: Suite = Suite(0x02);

    /// The suite with this byte.
    pub const fn new(byte: u8) -> Suite {
        Suite(byte)
    }

    /// The byte, as it stands in DF01.
    pub fn byte(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}", self.0)
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suite({self})")
    }
}
