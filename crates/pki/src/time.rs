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
