//! The station's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::Error;

/// Now, unix seconds.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC, whole seconds.
pub(crate) fn rfc3339(at: i64) -> Result<String, Error> {
    let time = OffsetDateTime::from_unix_timestamp(at).map_err(|_| Error::Time(at))?;
    time.format(&Rfc3339).map_err(|_| Error::Time(at))
}

/// Unix seconds of an RFC 3339 text.
pub(crate) fn from_rfc3339(text: &str) -> Option<i64> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_a_z() {
        assert_eq!(rfc3339(1_763_674_583).unwrap(), "2025-11-20T21:36:23Z");
        assert_eq!(from_rfc3339("2025-11-20T22:36:23+01:00"), Some(1_763_674_583));
        assert_eq!(from_rfc3339("yesterday"), None);
        assert!(matches!(rfc3339(i64::MAX), Err(Error::Time(_))));
    }
}
