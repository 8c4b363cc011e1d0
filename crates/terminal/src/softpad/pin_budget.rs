//! How many PINs may be encrypted: 120 an hour on average, so that nobody who holds a terminal finds a cardholder's PIN by
//! having it encrypt all of them (2-wire.md section 4, flow F; the same average as PCI PTS POI asks).
//!
//! A bucket of time: it holds up to an hour, a PIN takes 30 seconds out of it, and time fills it. So a queue at the till
//! is served at once, up to [`BURST`] PINs, and whoever goes on gets one PIN in 30 seconds. It is stored before a PIN
//! block leaves; a power cut gives nothing back.
//!
//! While there is power it fills by a clock that nobody sets. After a power cut it gets the time that has passed since
//! the latest time ever seen, by the clock that people set: set back, it fills nothing, and set forward by an hour, it
//! gains that hour once, because the latest time seen never goes back.

use std::time::Duration;

use super::codec::{Reader, Writer};

/// PINs at once when nobody has asked for an hour: also most PINs an hour, on average.
pub(super) const BURST: u32 = 120;
/// What a PIN takes, ms: an hour holds 120 of it.
const COST: u32 = 30_000;
/// What the bucket holds, ms.
const FULL: u32 = BURST * COST;

/// The bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PinBudget {
    /// ms, up to [`FULL`].
    left: u32,
    /// The latest time at which it was filled, unix seconds.
    at: i64,
    /// When it was filled last by the clock that nobody sets; not known after a power cut.
    filled: Option<Duration>,
}

impl PinBudget {
    /// A full one.
    pub(super) fn full() -> PinBudget {
        PinBudget { left: FULL, at: 0, filled: None }
    }

    /// Fills it with the time that has passed.
    pub(super) fn fill(&mut self, now: i64, uptime: Duration) {
        let passed = match self.filled {
            Some(before) => uptime.saturating_sub(before),
            None => Duration::from_secs(u64::try_from(now.saturating_sub(self.at)).unwrap_or(0)),
        };
        let passed = u32::try_from(passed.as_millis()).unwrap_or(FULL);
        self.left = self.left.saturating_add(passed).min(FULL);
        self.at = self.at.max(now);
        self.filled = Some(uptime);
    }

    /// Takes what a PIN costs, or says how many seconds are missing.
    ///
    /// # Errors
    /// The seconds.
    pub(super) fn take(&mut self) -> Result<(), u32> {
        match self.left.checked_sub(COST) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(COST.saturating_sub(self.left).div_ceil(1000)),
        }
    }

    /// How many PINs there are now.
    pub(super) fn pins(&self) -> u32 {
        self.left / COST
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.left.to_be_bytes());
        writer.bytes(&self.at.to_be_bytes());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<PinBudget> {
        let left = u32::from_be_bytes(reader.array()?);
        (left <= FULL).then_some(())?;
        Some(PinBudget { left, at: i64::from_be_bytes(reader.array()?), filled: None })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: i64 = 1_800_000_000;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Everything it has.
    fn drain(budget: &mut PinBudget) -> u32 {
        (0..).take_while(|_| budget.take().is_ok()).count().try_into().unwrap()
    }

    fn power_cut(budget: &PinBudget) -> PinBudget {
        let mut writer = Writer::new();
        budget.write(&mut writer);
        PinBudget::read(&mut Reader::new(&writer.finish())).unwrap()
    }

    #[test]
    fn a_full_one_gives_120_and_then_one_in_30_seconds() {
        let mut budget = PinBudget::full();
        budget.fill(NOON, seconds(5));
        assert_eq!((budget.pins(), drain(&mut budget)), (120, 120));
        assert_eq!(budget.take(), Err(30));
        budget.fill(NOON, seconds(34));
        assert_eq!(budget.take(), Err(1));
        budget.fill(NOON, seconds(35));
        assert_eq!((drain(&mut budget), budget.take()), (1, Err(30)));
    }

    #[test]
    fn it_holds_no_more_than_an_hour() {
        let mut budget = PinBudget::full();
        budget.fill(NOON, seconds(0));
        drain(&mut budget);
        budget.fill(NOON, seconds(1_000_000));
        assert_eq!(drain(&mut budget), 120);
    }

    #[test]
    fn a_clock_set_forward_gives_nothing_while_there_is_power() {
        let mut budget = PinBudget::full();
        budget.fill(NOON, seconds(5));
        drain(&mut budget);
        budget.fill(NOON + 1_000_000, seconds(6));
        assert_eq!(budget.pins(), 0);
    }

    #[test]
    fn a_power_cut_gives_nothing_back_but_the_time_that_passed() {
        let mut budget = PinBudget::full();
        budget.fill(NOON, seconds(5));
        drain(&mut budget);
        let mut budget = power_cut(&budget);
        budget.fill(NOON, seconds(0));
        assert_eq!(budget.pins(), 0);
        let mut budget = power_cut(&budget);
        budget.fill(NOON + 90, seconds(0));
        assert_eq!(budget.pins(), 3);
    }

    #[test]
    fn a_clock_set_back_and_forward_again_counts_an_hour_once() {
        let mut budget = PinBudget::full();
        budget.fill(NOON, seconds(5));
        drain(&mut budget);
        let mut gained = 0;
        for _ in 0..10 {
            for at in [NOON - 3600, NOON + 3600] {
                budget = power_cut(&budget);
                budget.fill(at, seconds(0));
                gained += drain(&mut budget);
            }
        }
        assert_eq!(gained, 120);
        // A clock that was wrong and is right again does not lock the terminal.
        budget.fill(NOON, seconds(60));
        assert_eq!(budget.pins(), 2);
    }

    #[test]
    fn more_than_full_is_not_read() {
        let mut writer = Writer::new();
        PinBudget { left: FULL + 1, at: 0, filled: None }.write(&mut writer);
        assert_eq!(PinBudget::read(&mut Reader::new(&writer.finish())), None);
    }

    proptest! {
        /// Whatever is done with power and clock, there are never more PINs than the burst, those of the time that ran,
        /// and those of the highest time that the clock ever had.
        #[test]
        fn no_sequence_gives_more_than_the_average(
            steps in proptest::collection::vec((any::<bool>(), -7200..7200_i64, 0..900_u64), 1..60),
        ) {
            let mut budget = PinBudget::full();
            let (mut ran, mut uptime, mut highest, mut pins) = (0, 0, NOON, 0);
            budget.fill(NOON, seconds(0));
            for (cut, offset, runs) in steps {
                if cut {
                    budget = power_cut(&budget);
                    uptime = 0;
                }
                budget.fill(NOON + offset, seconds(uptime));
                highest = highest.max(NOON + offset);
                uptime += runs;
                ran += runs;
                budget.fill(NOON + offset, seconds(uptime));
                pins += drain(&mut budget);
            }
            let allowed = i64::try_from(ran).unwrap() + (highest - NOON);
            prop_assert!(i64::from(pins) <= i64::from(BURST) + allowed / 30);
        }
    }
}
