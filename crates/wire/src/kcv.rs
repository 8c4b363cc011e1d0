//! Key check values.

use core::{fmt, str::FromStr};

use crate::{Malformed, hex};

/// A key check value (DF0B): tells keys apart without telling the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kcv {
    /// First 3 bytes of E(K, 8 zero bytes).
    Tdes([u8; 3]),
    /// First 5 bytes of CMAC(K, 16 zero bytes).
    Aes([u8; 5]),
}

impl Kcv {
    /// Reads a check value of 3 bytes (TDES) or 5 (AES).
    ///
    /// # Errors
    /// [`Malformed::KcvForm`] for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Kcv, Malformed> {
        if let Ok(tdes) = bytes.try_into() {
            Ok(Kcv::Tdes(tdes))
        } else if let Ok(aes) = bytes.try_into() {
            Ok(Kcv::Aes(aes))
        } else {
            Err(Malformed::KcvForm)
        }
    }

    /// The bytes, as they stand in DF0B.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Kcv::Tdes(bytes) => bytes,
            Kcv::Aes(bytes) => bytes,
        }
    }
}

impl From<[u8; 3]> for Kcv {
    fn from(bytes: [u8; 3]) -> Kcv {
        Kcv::Tdes(bytes)
    }
}

impl FromStr for Kcv {
    type Err = Malformed;

    /// Reads 6 or 10 hex digits.
    fn from_str(text: &str) -> Result<Kcv, Malformed> {
        hex::read(text).map(Kcv::Tdes).or_else(|| hex::read(text).map(Kcv::Aes)).ok_or(Malformed::KcvForm)
    }
}

impl fmt::Display for Kcv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, self.as_bytes())
    }
}

impl fmt::Debug for Kcv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kcv({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn three_and_five_bytes_are_check_values() {
        for length in 0..=6 {
            let bytes = [0xAB; 6];
            let result = Kcv::from_bytes(&bytes[..length]);
            if [3, 5].contains(&length) {
                assert_eq!(result.unwrap().as_bytes(), &bytes[..length]);
            } else {
                assert_eq!(result, Err(Malformed::KcvForm));
            }
        }
    }

    #[test]
    fn hex_is_read_back_and_nothing_else_is_read() {
        assert_eq!("742BB1".parse(), Ok(Kcv::Tdes([0x74, 0x2B, 0xB1])));
        assert_eq!("742bb1".parse::<Kcv>().unwrap().to_string(), "742BB1");
        assert_eq!("0102030405".parse::<Kcv>().unwrap().to_string(), "0102030405");
        for text in ["", "742BB", "742BBG", "742BB10", "+42BB1", " 742BB"] {
            assert_eq!(text.parse::<Kcv>(), Err(Malformed::KcvForm), "{text}");
        }
    }
}
