//! How long, and how often, a working key may be used. Pure: the caller knows the time.

use super::{settings, uses::Counting};

const HOUR_MS: i64 = 3_600_000;
/// Most uses of a working key whatever the configuration says: a TDES key protects no more blocks (a PIN block is one).
const MOST_USES: u64 = 1 << 20;

/// Counts one use of a key, if it may still be used. `activated_at` and `now` are Unix milliseconds.
pub(super) fn use_once(
    settings: &settings::Host,
    counting: &mut Counting<'_>,
    (key, activated_at, stored_uses): (i64, i64, u64),
    now: i64,
) -> bool {
    let age = now.saturating_sub(activated_at);
    let limit = i64::from(settings.max_age_hours) * HOUR_MS;
    // A clock that was set back makes no key old.
    let young = limit == 0 || age < limit;
    let most = if settings.max_uses == 0 { MOST_USES } else { settings.max_uses.min(MOST_USES) };
    young && counting.one_more(key, stored_uses, most)
}

#[cfg(test)]
mod tests {
    use super::{super::uses::Uses, *};

    #[test]
    fn a_key_is_used_until_its_age_and_no_longer() {
        let uses = Uses::default();
        let day = settings::Host { max_age_hours: 24, ..settings::Host::default() };
        let at = |settings: &settings::Host, now| use_once(settings, &mut uses.count(), (1, 1_000, 0), now);
        assert!(at(&day, 1_000));
        assert!(at(&day, 1_000 + 24 * HOUR_MS - 1));
        assert!(!at(&day, 1_000 + 24 * HOUR_MS));
        assert!(at(&day, 0), "the clock was set back");
        let ageless = settings::Host { max_age_hours: 0, ..day };
        assert!(at(&ageless, i64::MAX));
    }

    #[test]
    fn r20_no_key_is_used_more_often_than_2_20_times_whatever_is_set() {
        for max_uses in [0, MOST_USES, u64::MAX] {
            let uses = Uses::default();
            let host = settings::Host { max_uses, ..settings::Host::default() };
            let again = || use_once(&host, &mut uses.count(), (1, 0, 1_048_574), 0);
            assert!(again() && again(), "{max_uses}");
            assert!(!again(), "{max_uses}: the 1 048 577th");
        }
    }

    #[test]
    fn a_key_that_is_too_old_is_not_counted_as_used() {
        let uses = Uses::default();
        let strict = settings::Host { max_age_hours: 1, max_uses: 2, ..settings::Host::default() };
        assert!(!use_once(&strict, &mut uses.count(), (1, 0, 0), HOUR_MS));
        assert!(use_once(&strict, &mut uses.count(), (1, 0, 0), 0));
        assert!(use_once(&strict, &mut uses.count(), (1, 0, 0), 0));
        assert!(!use_once(&strict, &mut uses.count(), (1, 0, 0), 0));
        assert_eq!(uses.take(), [(1, 2)]);
    }
}
