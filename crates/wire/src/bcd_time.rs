//! Dates and times, as DF27 and DF2A carry them.

use core::fmt;

use crate::{Fields, Malformed, Tag};

/// Seconds of a day.
const DAY: i64 = 86_400;
/// 2000-01-01T00:00:00Z in Unix seconds: the first time that YY = 20YY can say.
const FIRST: i64 = 946_684_800;
/// 2099-12-31T23:59:59Z: the last one.
const LAST: i64 = 4_102_444_799;

/// A date and time in UTC: six bytes BCD `YYMMDDhhmmss`, YY being 20YY (2-wire.md section 2, DF27 and DF2A). Only times
/// that exist have one, so 2000-01-01 to 2099-12-31 and no leap second. In order of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BcdTime([u8; BcdTime::LENGTH]);

impl BcdTime {
    /// Bytes of a date and time.
    pub const LENGTH: usize = 6;

    /// What a terminal without a clock sends in place of a time. It is no time.
    pub const UNKNOWN: [u8; BcdTime::LENGTH] = [0; BcdTime::LENGTH];

    /// Reads the six bytes.
    ///
    /// # Errors
    /// [`Malformed::BcdTime`] for bytes that are no BCD, and for a date or time that does not exist: also
    /// [`BcdTime::UNKNOWN`].
    pub fn from_bytes(bytes: [u8; BcdTime::LENGTH]) -> Result<BcdTime, Malformed> {
        let time = BcdTime(bytes);
        // Every time that exists comes back from the clock as it was; a 31st of April comes back as another day.
        let exists = bytes.iter().all(|byte| byte >> 4 <= 9 && byte & 0x0F <= 9)
            && BcdTime::from_unix(time.unix()) == Ok(time);
        if exists { Ok(time) } else { Err(Malformed::BcdTime) }
    }

    /// Reads the six bytes of a sender that may have no clock: nothing for [`BcdTime::UNKNOWN`].
    ///
    /// # Errors
    /// As [`BcdTime::from_bytes`] for everything else.
    pub fn from_bytes_or_unknown(bytes: [u8; BcdTime::LENGTH]) -> Result<Option<BcdTime>, Malformed> {
        if bytes == BcdTime::UNKNOWN { Ok(None) } else { BcdTime::from_bytes(bytes).map(Some) }
    }

    /// The time of these Unix seconds.
    ///
    /// # Errors
    /// [`Malformed::BcdTime`] before 2000 and after 2099.
    pub fn from_unix(seconds: i64) -> Result<BcdTime, Malformed> {
        if !(FIRST..=LAST).contains(&seconds) {
            return Err(Malformed::BcdTime);
        }
        let (day, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        let (year, month, date) = civil(day);
        let parts = [year - 2000, month, date, second / 3600, second / 60 % 60, second % 60];
        Ok(BcdTime(parts.map(bcd)))
    }

    /// The Unix seconds.
    pub fn unix(self) -> i64 {
        let [year, month, date, hour, minute, second] = self.0.map(number);
        days(2000 + year, month, date) * DAY + hour * 3600 + minute * 60 + second
    }

    /// The bytes, as they stand in the field.
    pub fn as_bytes(&self) -> &[u8; BcdTime::LENGTH] {
        &self.0
    }
}

impl Fields {
    /// A date and time that must be there and known (DF27).
    ///
    /// # Errors
    /// When it is missing, not six bytes, or no time.
    pub fn bcd_time(&self, tag: Tag) -> Result<BcdTime, Malformed> {
        BcdTime::from_bytes(self.exactly(tag)?)
    }
}

/// RFC 3339, in UTC.
impl fmt::Display for BcdTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, date, hour, minute, second] = self.0;
        write!(f, "20{year:02X}-{month:02X}-{date:02X}T{hour:02X}:{minute:02X}:{second:02X}Z")
    }
}

impl fmt::Debug for BcdTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BcdTime({self})")
    }
}

/// Two digits as one byte; `number` is below 100 wherever this is called.
fn bcd(number: i64) -> u8 {
    u8::try_from(number / 10 * 16 + number % 10).unwrap_or_default()
}

fn number(bcd: u8) -> i64 {
    i64::from(bcd >> 4) * 10 + i64::from(bcd & 0x0F)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar. Years are counted from March, so that the leap day is a
/// year's last; 153 days are the five months from March on, which repeat from August.
fn days(year: i64, month: i64, date: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + date - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - DAYS_TO_1970
}

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;
/// Days of 400 years of the Gregorian calendar.
const DAYS_OF_400_YEARS: i64 = 146_097;

/// The other way: year, month and date of a day since 1970-01-01.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + DAYS_TO_1970;
    let (era, of_era) = (day.div_euclid(DAYS_OF_400_YEARS), day.rem_euclid(DAYS_OF_400_YEARS));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / (DAYS_OF_400_YEARS - 1)) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, date)
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    /// Unix seconds by `date -u -d … +%s` of GNU coreutils.
    const KNOWN: [([u8; 6], i64, &str); 7] = [
        ([0x00, 0x01, 0x01, 0x00, 0x00, 0x00], 946_684_800, "2000-01-01T00:00:00Z"),
        ([0x00, 0x02, 0x29, 0x12, 0x00, 0x00], 951_825_600, "2000-02-29T12:00:00Z"),
        ([0x26, 0x11, 0x20, 0x12, 0x34, 0x56], 1_795_178_096, "2026-11-20T12:34:56Z"),
        ([0x28, 0x02, 0x29, 0x23, 0x59, 0x59], 1_835_481_599, "2028-02-29T23:59:59Z"),
        ([0x28, 0x03, 0x01, 0x00, 0x00, 0x00], 1_835_481_600, "2028-03-01T00:00:00Z"),
        ([0x38, 0x01, 0x19, 0x03, 0x14, 0x08], 2_147_483_648, "2038-01-19T03:14:08Z"),
        ([0x99, 0x12, 0x31, 0x23, 0x59, 0x59], 4_102_444_799, "2099-12-31T23:59:59Z"),
    ];

    #[test]
    fn known_times_go_both_ways() {
        for (bytes, unix, text) in KNOWN {
            let time = BcdTime::from_bytes(bytes).unwrap();
            assert_eq!((time.unix(), time.to_string().as_str()), (unix, text));
            assert_eq!(BcdTime::from_unix(unix), Ok(time));
            assert_eq!(time.as_bytes(), &bytes);
        }
    }

    #[test]
    fn every_day_of_the_century_is_read_back_and_in_order() {
        let mut before = None;
        for seconds in (FIRST..=LAST).step_by(86_400 - 1) {
            let time = BcdTime::from_unix(seconds).unwrap();
            assert_eq!(time.unix(), seconds);
            assert_eq!(BcdTime::from_bytes(*time.as_bytes()), Ok(time));
            assert!(before < Some(time));
            before = Some(time);
        }
    }

    #[test]
    fn times_outside_of_the_century_have_no_bytes() {
        for seconds in [i64::MIN, -1, 0, FIRST - 1, LAST + 1, i64::MAX] {
            assert_eq!(BcdTime::from_unix(seconds), Err(Malformed::BcdTime));
        }
    }

    #[test]
    fn times_that_do_not_exist_are_refused() {
        for bytes in [
            BcdTime::UNKNOWN,
            [0x26, 0x00, 0x01, 0, 0, 0],
            [0x26, 0x13, 0x01, 0, 0, 0],
            [0x26, 0x11, 0x00, 0, 0, 0],
            [0x26, 0x11, 0x31, 0, 0, 0],
            [0x26, 0x02, 0x29, 0, 0, 0],
            [0x28, 0x02, 0x30, 0, 0, 0],
            [0x26, 0x11, 0x20, 0x24, 0, 0],
            [0x26, 0x11, 0x20, 0, 0x60, 0],
            [0x26, 0x11, 0x20, 0, 0, 0x60],
        ] {
            assert_eq!(BcdTime::from_bytes(bytes), Err(Malformed::BcdTime), "{bytes:02X?}");
        }
    }

    #[test]
    fn bytes_that_are_no_bcd_are_refused() {
        let good = [0x26, 0x11, 0x20, 0x12, 0x34, 0x56];
        for at in 0..good.len() {
            for wrong in [0x0A, 0xA0, 0x1F, 0xFF] {
                let mut bytes = good;
                bytes[at] = wrong;
                assert_eq!(BcdTime::from_bytes(bytes), Err(Malformed::BcdTime), "{bytes:02X?}");
            }
        }
    }

    #[test]
    fn sender_without_a_clock_is_told_apart_from_nonsense() {
        assert_eq!(BcdTime::from_bytes_or_unknown(BcdTime::UNKNOWN), Ok(None));
        let (bytes, ..) = KNOWN[2];
        assert_eq!(BcdTime::from_bytes_or_unknown(bytes), BcdTime::from_bytes(bytes).map(Some));
        assert_eq!(BcdTime::from_bytes_or_unknown([0, 0, 0, 0, 0, 1]), Err(Malformed::BcdTime));
    }

    #[test]
    fn field_with_a_time_has_six_bytes() {
        let with = |value: &[u8]| {
            let mut fields = Fields::new();
            fields.push(Tag::REPAIR_EXPIRY, value).unwrap();
            fields.bcd_time(Tag::REPAIR_EXPIRY)
        };
        let (bytes, unix, _) = KNOWN[2];
        assert_eq!(with(&bytes).map(BcdTime::unix), Ok(unix));
        for found in [5, 7] {
            let tag = Tag::REPAIR_EXPIRY;
            assert_eq!(with(&[0x11; 7][..found]), Err(Malformed::FieldLength { tag, found }));
        }
        assert_eq!(with(&BcdTime::UNKNOWN), Err(Malformed::BcdTime));
    }
}
