//! Key slots.

use core::fmt;

use crate::{Malformed, limits::MAX_SLOT};

/// The index of a key slot in a PIN pad (DF04): 0–99. Written with two digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u8);

impl Slot {
    /// The slot with this index.
    ///
    /// # Errors
    /// [`Malformed::SlotRange`] above 99.
    pub fn new(index: u8) -> Result<Slot, Malformed> {
        if index > MAX_SLOT { Err(Malformed::SlotRange { found: index }) } else { Ok(Slot(index)) }
    }

    /// The index, as it stands in DF04.
    pub fn index(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Slot {
    type Error = Malformed;

    fn try_from(index: u8) -> Result<Slot, Malformed> {
        Slot::new(index)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn slots_end_at_99() {
        assert_eq!(Slot::new(99).map(|slot| slot.to_string()), Ok("99".into()));
        assert_eq!(Slot::new(100), Err(Malformed::SlotRange { found: 100 }));
        assert_eq!(Slot::new(3).unwrap().to_string(), "03");
    }
}
