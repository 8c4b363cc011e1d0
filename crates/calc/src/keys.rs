//! Keys as the calculator takes them, and what is to be said of them.

use core::fmt;

use paycrypto::hygiene::KeyQuality;
use paycrypto::{AesKey, SingleDesKey, TdesKey};
use zeroize::Zeroizing;

use crate::Error;

/// What kind of key a check value or a component is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// DES and TDES: keys of 8, 16 and 24 bytes.
    Tdes,
    /// AES: keys of 16, 24 and 32 bytes; the check value by CMAC.
    Aes,
    /// AES with the older check value: a zero block encrypted, 3 bytes.
    AesLegacy,
}

impl Algorithm {
    /// The algorithm of this name: `tdes`, `aes` or `aes-legacy`.
    ///
    /// # Errors
    /// [`Error::Algorithm`] for any other.
    pub fn parse(name: &str) -> Result<Self, Error> {
        match name {
            "tdes" => Ok(Self::Tdes),
            "aes" => Ok(Self::Aes),
            "aes-legacy" => Ok(Self::AesLegacy),
            _ => Err(Error::Algorithm { known: "tdes, aes or aes-legacy" }),
        }
    }
}

/// A DES key of 8 bytes or a TDES key of 16 or 24.
pub(crate) enum DesFamily {
    Single(SingleDesKey),
    Triple(TdesKey),
}

impl DesFamily {
    pub(crate) fn from_bytes(key: &[u8]) -> Result<Self, Error> {
        match key.len() {
            8 => Ok(Self::Single(SingleDesKey::from_bytes(key)?)),
            16 | 24 => Ok(Self::Triple(TdesKey::from_bytes(key)?)),
            found => {
                let (algorithm, allowed) = ("DES or TDES", "8, 16 or 24");
                Err(paycrypto::Error::KeyLength { algorithm, allowed, found }.into())
            }
        }
    }

    pub(crate) fn kcv(&self) -> [u8; 3] {
        match self {
            Self::Single(key) => key.kcv(),
            Self::Triple(key) => key.kcv(),
        }
    }
}

/// An AES key of 16, 24 or 32 bytes.
pub(crate) fn aes_key(key: &[u8]) -> Result<AesKey, Error> {
    Ok(AesKey::from_bytes(key)?)
}

/// Clear key bytes in a result; printed for debugging, they are only counted.
pub(crate) struct Clear(Zeroizing<Vec<u8>>);

impl Clear {
    pub(crate) fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Clear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What is to be said of a key. Nothing of it is a reason to refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remarks(Option<KeyQuality>);

impl Remarks {
    /// Nothing: a key that is not DES.
    pub(crate) const NONE: Self = Self(None);

    /// Looks at a key of the DES family.
    pub(crate) fn of_des(key: &[u8]) -> Self {
        Self(Some(KeyQuality::of(key)))
    }

    /// Whether a strict receiver would refuse the key: a weak or semi-weak part, or equal parts.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.0.is_some_and(|quality| quality.is_poor())
    }

    /// Whether every byte has odd parity; `None` for a key that has no parity.
    #[must_use]
    pub fn odd_parity(&self) -> Option<bool> {
        self.0.map(|quality| quality.odd_parity)
    }

    pub(crate) fn quality(&self) -> Option<KeyQuality> {
        self.0
    }
}

/// One line for each remark, each with a line break in front; nothing for a good key.
impl fmt::Display for Remarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(quality) = self.0 else { return Ok(()) };
        let remarks = [
            (quality.weak, "weak: a part of the key is one of the 4 weak DES keys"),
            (quality.semi_weak, "weak: a part of the key is one of the 12 semi-weak DES keys"),
            (quality.equal_parts, "weak: parts of the key are equal"),
            (quality.possibly_weak, "note: a part of the key is one of the 48 possibly weak DES keys"),
            (!quality.odd_parity, "note: the parity is not odd"),
        ];
        for (_, remark) in remarks.iter().filter(|(holds, _)| *holds) {
            write!(f, "\n{remark}")?;
        }
        Ok(())
    }
}

/// Bytes from hexadecimal in either case, as people type it: spaces, tabs, dashes and line breaks between digits are
/// passed over. `what` names the text in the error.
///
/// # Errors
/// [`Error::Hex`] for anything else.
pub fn read_hex(text: &str, what: &'static str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let digits = text.bytes().filter(|byte| !matches!(byte, b' ' | b'\t' | b'-' | b'\r' | b'\n'));
    decode(digits, text.len(), what)
}

/// Bytes from hexadecimal in either case, with nothing between the digits.
pub(crate) fn strict_hex(text: &str, what: &'static str) -> Result<Zeroizing<Vec<u8>>, Error> {
    decode(text.bytes(), text.len(), what)
}

fn decode(
    mut digits: impl Iterator<Item = u8>,
    at_most: usize,
    what: &'static str,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(Error::Hex { what }),
    };
    // Room for all of it: a growing buffer would leave pieces of the key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(at_most / 2));
    while let Some(high) = digits.next() {
        let low = digits.next().ok_or(Error::Hex { what })?;
        bytes.push(value(high)? << 4 | value(low)?);
    }
    Ok(bytes)
}

/// Upper-case hexadecimal, in memory that is wiped.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0F] {
            text.push(char::from(if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }));
        }
    }
    text
}
