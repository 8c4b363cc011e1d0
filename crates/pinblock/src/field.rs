//! The PIN field: control, length, digits and fill, sixteen nibbles. Written and read by one rule a format.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater, ConstantTimeLess};
use zeroize::Zeroizing;

use crate::pin::Pin;
use crate::{BadBlock, Format};

/// Nibbles of a field.
const NIBBLES: usize = 16;
/// A control field that no nibble has, for formats that have no field of eight bytes here.
const NEVER: u8 = 0xFF;

/// What a format's PIN field has beside the PIN.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    control: u8,
    /// The lowest and the highest fill digit.
    fill: (u8, u8),
}

impl Rule {
    /// The rule of a format; format 2 has one that no field fulfils.
    pub(crate) const fn of(format: Format) -> Self {
        match format {
            Format::Iso0 => Self { control: 0, fill: (15, 15) },
            Format::Iso1 => Self { control: 1, fill: (0, 15) },
            Format::Iso2 => Self::NONE,
            Format::Iso3 => Self { control: 3, fill: (10, 15) },
            Format::Iso4 => Self { control: 4, fill: (10, 10) },
        }
    }

    /// A rule that no field fulfils: reading by it takes the same work.
    pub(crate) const NONE: Self = Self { control: NEVER, fill: (15, 15) };

    /// The field of `pin`. `random` makes the fill where the format has a random one; the digits of a number of 64
    /// random bits in base 6 or 16 are evenly spread but for one part in 2^38.
    pub(crate) fn write(self, pin: &Pin, random: &[u8; 8]) -> Zeroizing<[u8; 8]> {
        let (low, high) = self.fill;
        let base = u64::from(high - low) + 1;
        let mut left = Zeroizing::new(u64::from_be_bytes(*random));
        let mut fill = std::iter::from_fn(|| {
            let digit = u8::try_from(*left % base).unwrap_or_default(); // below 16
            *left /= base;
            Some(low + digit)
        });
        let mut nibbles = Zeroizing::new([0; NIBBLES]);
        let digits = pin.expose().bytes().map(|ascii| ascii - b'0');
        let all = [self.control, pin.count()].into_iter().chain(digits).chain(&mut fill);
        for (to, from) in nibbles.iter_mut().zip(all) {
            *to = from;
        }
        let mut field = Zeroizing::new([0; 8]);
        for (to, [high, low]) in field.iter_mut().zip(nibbles.as_chunks().0) {
            *to = high << 4 | low;
        }
        field
    }

    /// The PIN in a field. Every nibble is looked at, in the same way, whatever the ones before it were.
    pub(crate) fn read(self, field: &[u8; 8]) -> Result<Pin, BadBlock> {
        let mut nibbles = Zeroizing::new([0; NIBBLES]);
        for ([high, low], byte) in nibbles.as_chunks_mut().0.iter_mut().zip(field) {
            (*high, *low) = (byte >> 4, byte & 15);
        }
        let [control, len, digits @ ..] = &*nibbles;
        let mut good = control.ct_eq(&self.control) & within(*len, 4, 12);
        let mut pin = Pin::blank(*len);
        let mut places = pin.places();
        for (position, nibble) in (0_u8..).zip(digits) {
            let belongs = position.ct_lt(len);
            let fill = within(*nibble, self.fill.0, self.fill.1);
            good &= Choice::conditional_select(&fill, &within(*nibble, 0, 9), belongs);
            if let Some(place) = places.next() {
                *place = u8::conditional_select(&0, &(b'0' | nibble), belongs);
            }
        }
        drop(places);
        // Two outcomes, and the caller learns which: from here on there is nothing more to hide.
        if good.into() { Ok(pin) } else { Err(BadBlock) }
    }
}

/// Whether a nibble is in a range, without a branch.
fn within(nibble: u8, low: u8, high: u8) -> Choice {
    !nibble.ct_lt(&low) & !nibble.ct_gt(&high)
}
