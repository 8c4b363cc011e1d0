//! What each side contributes to a session with the TMS: a random number and its time (DF34, DF35).

use core::fmt;

use crate::{BcdTime, Fields, Malformed, Tag};

/// Bytes of the random number.
const RANDOM: usize = 4;
/// Bytes of T_DATA and of S_DATA.
const LENGTH: usize = RANDOM + BcdTime::LENGTH;

macro_rules! session_data {
    ($name:ident, $tag:expr, $top_bit:literal, $doc:literal) => {
        #[doc = $doc]
        ///
        /// Not secret: Debug shows it.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name([u8; LENGTH]);

        impl $name {
            /// Bytes of the field.
            pub const LENGTH: usize = LENGTH;

            /// Puts it together; the random number's top bit becomes this side's. No time from a side without a clock.
            pub fn new(random: [u8; RANDOM], when: Option<BcdTime>) -> $name {
                let [first, second, third, fourth] = random;
                let first = first & 0x7F | $top_bit;
                let [year, month, day, hour, minute, s] =
                    when.map_or(BcdTime::UNKNOWN, |when| *when.as_bytes());
                $name([first, second, third, fourth, year, month, day, hour, minute, s])
            }

            /// Reads the field.
            ///
            /// # Errors
            /// [`Malformed::TopBit`] when the top bit is the other side's, [`Malformed::BcdTime`] for a time that is
            /// none; zeros say that the sender has no clock.
            pub fn from_bytes(bytes: [u8; LENGTH]) -> Result<$name, Malformed> {
                let [first, ..] = bytes;
                if first & 0x80 != $top_bit {
                    return Err(Malformed::TopBit { tag: $tag });
                }
                let data = $name(bytes);
                data.time().map(|_| data)
            }

            /// The bytes, as they stand in the field.
            pub fn bytes(&self) -> [u8; LENGTH] {
                self.0
            }

            /// The sender's time; nothing from one without a clock.
            pub fn when(&self) -> Option<BcdTime> {
                self.time().unwrap_or_default()
            }

            fn time(&self) -> Result<Option<BcdTime>, Malformed> {
                let [_, _, _, _, time @ ..] = self.0;
                BcdTime::from_bytes_or_unknown(time)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                crate::hex::write(f, &self.0)?;
                f.write_str(")")
            }
        }
    };
}

session_data!(
    TData,
    Tag::T_DATA,
    0x00,
    "The terminal's contribution, T_DATA (DF34): its random number has top bit 0."
);
session_data!(
    SData,
    Tag::S_DATA,
    0x80,
    "The TMS's contribution, S_DATA (DF35): its random number has top bit 1."
);

impl Fields {
    /// T_DATA (DF34).
    ///
    /// # Errors
    /// When it is missing, not ten bytes, or [`TData::from_bytes`] refuses it.
    pub fn t_data(&self) -> Result<TData, Malformed> {
        TData::from_bytes(self.exactly(Tag::T_DATA)?)
    }

    /// S_DATA (DF35).
    ///
    /// # Errors
    /// When it is missing, not ten bytes, or [`SData::from_bytes`] refuses it.
    pub fn s_data(&self) -> Result<SData, Malformed> {
        SData::from_bytes(self.exactly(Tag::S_DATA)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHEN: [u8; 6] = [0x26, 0x11, 0x20, 0x12, 0x34, 0x56];

    #[test]
    fn top_bit_is_forced_when_made() {
        let when = BcdTime::from_bytes(WHEN).unwrap();
        assert_eq!(TData::new([0xFF; 4], None).bytes(), [0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0]);
        let data = SData::new([0; 4], Some(when));
        assert_eq!(data.bytes(), [0x80, 0, 0, 0, 0x26, 0x11, 0x20, 0x12, 0x34, 0x56]);
        assert_eq!((data.when(), TData::new([1; 4], None).when()), (Some(when), None));
    }

    #[test]
    fn other_sides_top_bit_is_refused() {
        let terminal = TData::new([0x5E, 0xAD, 0xBE, 0xEF], None);
        let server = SData::new([0x5E, 0xAD, 0xBE, 0xEF], None);
        assert_eq!(TData::from_bytes(terminal.bytes()), Ok(terminal));
        assert_eq!(SData::from_bytes(server.bytes()), Ok(server));
        assert_eq!(TData::from_bytes(server.bytes()), Err(Malformed::TopBit { tag: Tag::T_DATA }));
        assert_eq!(SData::from_bytes(terminal.bytes()), Err(Malformed::TopBit { tag: Tag::S_DATA }));
    }

    #[test]
    fn time_that_does_not_exist_is_refused() {
        let mut bytes = [0; 10];
        bytes[5] = 0x13;
        assert_eq!(TData::from_bytes(bytes), Err(Malformed::BcdTime));
        bytes[0] = 0x80;
        assert_eq!(SData::from_bytes(bytes), Err(Malformed::BcdTime));
    }

    #[test]
    fn fields_have_ten_bytes() {
        let with = |tag, value: &[u8]| {
            let mut fields = Fields::new();
            fields.push(tag, value).unwrap();
            fields
        };
        let (t_data, s_data) = (TData::new([1; 4], None), SData::new([1; 4], None));
        assert_eq!(with(Tag::T_DATA, &t_data.bytes()).t_data(), Ok(t_data));
        assert_eq!(with(Tag::S_DATA, &s_data.bytes()).s_data(), Ok(s_data));
        let refused = Malformed::FieldLength { tag: Tag::T_DATA, found: 9 };
        assert_eq!(with(Tag::T_DATA, &[0; 9]).t_data(), Err(refused));
        let refused = Malformed::FieldLength { tag: Tag::S_DATA, found: 11 };
        assert_eq!(with(Tag::S_DATA, &[0; 11]).s_data(), Err(refused));
    }
}
