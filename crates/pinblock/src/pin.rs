//! A PIN.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Error;

/// The longest PIN.
pub(crate) const MAX: usize = 12;
/// The shortest PIN.
const MIN: usize = 4;

/// A PIN of 4 to 12 digits. Has no copy, no `==` and no `Debug` of digits, and wipes itself when dropped.
pub struct Pin(Box<Digits>);

/// On the heap, so that moving a PIN leaves no copy behind.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Digits {
    /// ASCII, zeros behind the PIN.
    ascii: [u8; MAX],
    len: u8,
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pin(…)")
    }
}

impl Pin {
    /// The PIN of these digits. The caller wipes its text.
    ///
    /// # Errors
    /// [`Error::PinDigits`].
    pub fn new(digits: &str) -> Result<Self, Error> {
        if !(MIN..=MAX).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(Error::PinDigits);
        }
        let mut pin = Self::blank(u8::try_from(digits.len()).map_err(|_| Error::PinDigits)?);
        for (to, from) in pin.places().zip(digits.bytes()) {
            *to = from;
        }
        Ok(pin)
    }

    /// The digits as a text. The caller wipes every copy that it makes.
    #[must_use]
    pub fn expose(&self) -> &str {
        let digits = self.0.ascii.get(..usize::from(self.0.len)).unwrap_or_default();
        std::str::from_utf8(digits).unwrap_or_default() // digits are ASCII
    }

    /// Whether both are the same PIN, in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        (self.0.ascii.ct_eq(&other.0.ascii) & self.0.len.ct_eq(&other.0.len)).into()
    }

    /// A PIN of zeros that is filled in its place.
    pub(crate) fn blank(len: u8) -> Self {
        Self(Box::new(Digits { ascii: [0; MAX], len }))
    }

    pub(crate) fn places(&mut self) -> impl Iterator<Item = &mut u8> {
        self.0.ascii.iter_mut()
    }

    pub(crate) fn count(&self) -> u8 {
        self.0.len
    }
}
