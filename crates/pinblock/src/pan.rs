//! A card's number.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{Error, Format};

/// The longest PAN (ISO/IEC 7812-1).
const MAX: usize = 19;
/// Digits of a PAN that formats 0 and 3 bind: the rightmost without the check digit.
const BOUND: usize = 12;

/// A primary account number of 1 to 19 digits; its check digit is not checked, since closed systems have none. Has no
/// copy, no `==` and no `Debug` of digits, and wipes itself when dropped.
///
/// Formats 0 and 3 need 13 digits at least, format 4 takes all lengths: [`Pan::fits`].
pub struct Pan(Box<Digits>);

#[derive(Zeroize, ZeroizeOnDrop)]
struct Digits {
    /// Values 0 to 9.
    values: [u8; MAX],
    len: usize,
}

impl std::fmt::Debug for Pan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pan(…)")
    }
}

impl Pan {
    /// The PAN of these digits. The caller wipes its text.
    ///
    /// # Errors
    /// [`Error::PanDigits`].
    pub fn new(digits: &str) -> Result<Self, Error> {
        if !(1..=MAX).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(Error::PanDigits);
        }
        let mut pan = Self(Box::new(Digits { values: [0; MAX], len: digits.len() }));
        for (to, digit) in pan.0.values.iter_mut().zip(digits.bytes()) {
            *to = digit - b'0';
        }
        Ok(pan)
    }

    /// Whether a PIN can be bound to this PAN in `format`.
    ///
    /// # Errors
    /// [`Error::PanShort`] in formats 0 and 3.
    pub fn fits(&self, format: Format) -> Result<(), Error> {
        match format {
            Format::Iso0 | Format::Iso3 if self.0.len <= BOUND => {
                Err(Error::PanShort { format: format.number() })
            }
            _ => Ok(()),
        }
    }

    fn digits(&self) -> &[u8] {
        self.0.values.get(..self.0.len).unwrap_or(&self.0.values)
    }

    /// The PAN field of formats 0 and 3: four zeros and the 12 rightmost digits without the check digit.
    pub(crate) fn field(&self) -> [u8; 8] {
        let mut nibbles = [0; 16];
        let bound = self.digits().iter().rev().skip(1).take(BOUND);
        for (to, digit) in nibbles.iter_mut().rev().zip(bound) {
            *to = *digit;
        }
        pack(&nibbles)
    }

    /// The PAN field of format 4: how many digits more than 12, the PAN with zeros in front up to 12, zeros behind.
    pub(crate) fn field4(&self) -> [u8; 16] {
        let mut nibbles = [0; 32];
        let more = self.0.len.saturating_sub(BOUND);
        let zeros = BOUND.saturating_sub(self.0.len);
        let [length, rest @ ..] = &mut nibbles;
        *length = u8::try_from(more).unwrap_or_default(); // at most 7
        for (to, digit) in rest.iter_mut().skip(zeros).zip(self.digits()) {
            *to = *digit;
        }
        pack(&nibbles)
    }
}

/// Nibbles to bytes. `N` is half of `M`.
fn pack<const M: usize, const N: usize>(nibbles: &[u8; M]) -> [u8; N] {
    let mut bytes = [0; N];
    for (to, [high, low]) in bytes.iter_mut().zip(nibbles.as_chunks().0) {
        *to = high << 4 | low;
    }
    bytes
}
