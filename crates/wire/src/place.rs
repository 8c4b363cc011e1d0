//! Places: where a key belongs.

use core::{fmt, str::FromStr};

use crate::{Malformed, Serial, Slot};

/// Where a key belongs: a slot of a PIN pad. Its text, `SN-1001/03`, is optional block `10` of every key block
/// (2-wire.md section 4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The PIN pad.
    pub pin_pad: Serial,
    /// The slot in it.
    pub slot: Slot,
}

impl Place {
    /// The place in this slot of this PIN pad.
    pub fn new(pin_pad: Serial, slot: Slot) -> Place {
        Place { pin_pad, slot }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pin_pad, self.slot)
    }
}

impl FromStr for Place {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Place, Malformed> {
        let (pin_pad, index) = text.split_once('/').ok_or(Malformed::PlaceForm)?;
        if index.len() != 2 || !index.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Malformed::PlaceForm);
        }
        let index = index.parse().map_err(|_| Malformed::PlaceForm)?;
        Ok(Place { pin_pad: Serial::parse(pin_pad)?, slot: Slot::new(index)? })
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn text_is_read_back() {
        let place = Place::new(Serial::parse("SN-1001").unwrap(), Slot::new(3).unwrap());
        assert_eq!(place.to_string(), "SN-1001/03");
        assert_eq!("SN-1001/03".parse(), Ok(place));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in
            ["SN-1001", "SN-1001/3", "SN-1001/003", "SN-1001/+3", "SN-1001/0x", "SN-1001/03/04", "A/é"]
        {
            assert_eq!(text.parse::<Place>(), Err(Malformed::PlaceForm), "{text}");
        }
        assert_eq!("/03".parse::<Place>(), Err(Malformed::IdentifierLength { found: 0, max: 32 }));
        assert_eq!("S N/03".parse::<Place>(), Err(Malformed::IdentifierCharacter));
    }
}
