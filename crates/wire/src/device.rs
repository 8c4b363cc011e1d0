//! A terminal and the PIN pad that its keys belong to.

use crate::{Malformed, Serial};

/// A terminal's serial and, where the PIN pad is external, that one's (DF02, DF03).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Device {
    sn: Serial,
    external: Option<Serial>,
}

impl Device {
    /// A terminal with an external PIN pad, or without.
    ///
    /// # Errors
    /// [`Malformed::PinPadEqualsTerminal`]: a built-in PIN pad is left out, not repeated.
    pub fn new(sn: Serial, pin_pad: Option<Serial>) -> Result<Device, Malformed> {
        if pin_pad.as_ref() == Some(&sn) {
            return Err(Malformed::PinPadEqualsTerminal);
        }
        Ok(Device { sn, external: pin_pad })
    }

    /// A terminal with a built-in PIN pad.
    pub fn built_in(sn: Serial) -> Device {
        Device { sn, external: None }
    }

    /// The terminal's serial.
    pub fn sn(&self) -> &Serial {
        &self.sn
    }

    /// The serial that keys belong to: the PIN pad's, which is the terminal's when it is built in.
    pub fn pin_pad(&self) -> &Serial {
        self.external.as_ref().unwrap_or(&self.sn)
    }

    /// The external PIN pad's serial (DF03), if there is one.
    pub fn external_pin_pad(&self) -> Option<&Serial> {
        self.external.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pin_pad_equal_to_terminal_is_refused() {
        let sn = Serial::parse("SN-1").unwrap();
        assert_eq!(Device::new(sn.clone(), Some(sn)), Err(Malformed::PinPadEqualsTerminal));
    }

    #[test]
    fn keys_belong_to_the_pin_pad() {
        let sn = Serial::parse("SN-1").unwrap();
        let pad = Serial::parse("PP-1").unwrap();
        assert_eq!(Device::built_in(sn.clone()).pin_pad(), &sn);
        let external = Device::new(sn.clone(), Some(pad.clone())).unwrap();
        assert_eq!((external.sn(), external.pin_pad()), (&sn, &pad));
        assert_eq!(external.external_pin_pad(), Some(&pad));
    }
}
