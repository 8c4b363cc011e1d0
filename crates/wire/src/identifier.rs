//! Short names of things, of the characters that DF02 allows.

use alloc::{borrow::ToOwned, boxed::Box};
use core::{fmt, str::FromStr};

use crate::Malformed;

/// 1 to `MAX` characters of `A-Z a-z 0-9 - . _` (DF02, and others that 2-wire.md section 2 gives its characters).
///
/// Case counts: `sn-1` and `SN-1` are two identifiers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier<const MAX: usize>(Box<str>);

impl<const MAX: usize> Identifier<MAX> {
    /// Reads an identifier from text.
    ///
    /// # Errors
    /// [`Malformed::IdentifierLength`], [`Malformed::IdentifierCharacter`].
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let found = text.len();
        if !(1..=MAX).contains(&found) {
            return Err(Malformed::IdentifierLength { found, max: MAX });
        }
        if !text.bytes().all(is_allowed) {
            return Err(Malformed::IdentifierCharacter);
        }
        Ok(Self(text.to_owned().into_boxed_str()))
    }

    /// Reads an identifier from a field's value.
    ///
    /// # Errors
    /// As [`Identifier::parse`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        if !(1..=MAX).contains(&bytes.len()) {
            return Err(Malformed::IdentifierLength { found: bytes.len(), max: MAX });
        }
        Self::parse(core::str::from_utf8(bytes).map_err(|_| Malformed::IdentifierCharacter)?)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bytes, as they stand in a field.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

impl<const MAX: usize> FromStr for Identifier<MAX> {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

impl<const MAX: usize> AsRef<str> for Identifier<MAX> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl<const MAX: usize> fmt::Display for Identifier<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const MAX: usize> fmt::Debug for Identifier<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Short = Identifier<8>;

    #[test]
    fn length_ends_at_one_and_at_the_maximum() {
        assert_eq!(Short::parse("").unwrap_err(), Malformed::IdentifierLength { found: 0, max: 8 });
        assert!(Short::parse("1").is_ok());
        assert!(Short::parse("12345678").is_ok());
        assert_eq!(Short::parse("123456789").unwrap_err(), Malformed::IdentifierLength { found: 9, max: 8 });
        assert_eq!(Short::from_bytes(b"").unwrap_err(), Malformed::IdentifierLength { found: 0, max: 8 });
        assert_eq!(
            Short::from_bytes(&[0xFF; 9]).unwrap_err(),
            Malformed::IdentifierLength { found: 9, max: 8 }
        );
    }

    #[test]
    fn exactly_the_listed_characters_are_allowed() {
        let allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
        for byte in 0..=u8::MAX {
            let result = Short::from_bytes(&[byte]);
            if allowed.as_bytes().contains(&byte) {
                assert_eq!(result.unwrap().as_bytes(), [byte]);
            } else {
                assert_eq!(result.unwrap_err(), Malformed::IdentifierCharacter, "{byte:02X}");
            }
        }
    }
}
