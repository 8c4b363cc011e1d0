//! Unix seconds to X.509 Time and back (RFC 5280 section 4.1.2.5).

use std::time::Duration;

use der::DateTime;
use der::asn1::{GeneralizedTime, UtcTime};
use x509_cert::time::Time;

use crate::error::Error;

/// UTCTime through 2049, GeneralizedTime from 2050.
pub(crate) fn from_unix(seconds: i64) -> Result<Time, Error> {
    let bad = || Error::Request(format!("{seconds} is no time that a certificate can hold (1970 to 9999)"));
    let seconds = u64::try_from(seconds).map_err(|_| bad())?;
    let date = DateTime::from_unix_duration(Duration::from_secs(seconds)).map_err(|_| bad())?;
    if date.year() <= UtcTime::MAX_YEAR {
        UtcTime::from_date_time(date).map(Time::UtcTime).map_err(|_| bad())
    } else {
        Ok(Time::GeneralTime(GeneralizedTime::from_date_time(date)))
    }
}

/// Unix seconds of a time that was read.
pub(crate) fn to_unix(time: Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}

/// A time as people read it, UTC: `2026-11-20T22:00:00Z`.
pub(crate) fn text(seconds: i64) -> String {
    u64::try_from(seconds)
        .ok()
        .and_then(|seconds| DateTime::from_unix_duration(Duration::from_secs(seconds)).ok())
        .map_or_else(|| format!("{seconds} s since 1970"), |date| date.to_string())
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_told_as_people_read_them() {
        assert_eq!(super::text(1_795_213_862), "2026-11-20T22:31:02Z");
        assert_eq!(super::text(-1), "-1 s since 1970");
    }
}
