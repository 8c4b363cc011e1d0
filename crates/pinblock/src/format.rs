//! The formats.

use crate::Error;

/// A PIN block format of ISO 9564-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Bound to the PAN, fixed fill. Enciphered with TDES.
    Iso0,
    /// Not bound to a PAN, random fill. Enciphered with TDES.
    Iso1,
    /// For chip cards' readers. Refused here.
    Iso2,
    /// Bound to the PAN, random fill. Enciphered with TDES.
    Iso3,
    /// Bound to the PAN, random fill, sixteen bytes. Enciphered with AES.
    Iso4,
}

impl Format {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Iso0, Self::Iso1, Self::Iso2, Self::Iso3, Self::Iso4];

    /// The format of this number.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`].
    pub fn from_number(number: u8) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|format| format.number() == number).ok_or(Error::UnknownFormat)
    }

    /// The format's number, which is also its control field.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Iso0 => 0,
            Self::Iso1 => 1,
            Self::Iso2 => 2,
            Self::Iso3 => 3,
            Self::Iso4 => 4,
        }
    }

    /// Whether the block is bound to a PAN.
    #[must_use]
    pub const fn binds_pan(self) -> bool {
        matches!(self, Self::Iso0 | Self::Iso3 | Self::Iso4)
    }

    /// Bytes of a block.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Iso4 => 16,
            _ => 8,
        }
    }
}
