//! How many PINs may be encrypted: 120 an hour on average, so that nobody who holds a terminal finds a cardholder's PIN by
//! having it encrypt all of them (2-wire.md section 4, flow F; the same average as PCI PTS POI asks).
//!
//! A bucket of time: it holds up to an hour, a PIN takes 30 seconds out of it, and time fills it. So a queue at the till
//! is served at once, up to [`BURST`] PINs, and whoever goes on gets one PIN in 30 seconds. It is stored before a PIN
//! block leaves; a power cut gives nothing back.
//!
//! It fills by a clock that nobody sets: how long the machine has run. The time of day fills nothing, or whoever sets it
//! forward by an hour before each power cut would have 120 PINs each time. What a terminal was switched off is lost; a
//! machine that has run shorter than when the bucket was filled last was started since, and has run so long at least.

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
    /// How long the machine had run when it was filled last, ms.
    at: u64,
}

impl PinBudget {
    /// A full one.
    pub(super) fn full() -> PinBudget {
        PinBudget { left: FULL, at: 0 }
    }

    /// Fills it with the time that has certainly passed.
    pub(super) fn fill(&mut self, uptime: Duration) {
        let now = u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX);
        let passed = now.checked_sub(self.at).unwrap_or(now);
        self.left = self.left.saturating_add(u32::try_from(passed).unwrap_or(FULL)).min(FULL);
        self.at = now;
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
        Some(PinBudget { left, at: u64::from_be_bytes(reader.array()?) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
    fn r40_a_full_one_gives_120_and_then_one_in_30_seconds() {
        let mut budget = PinBudget::full();
        budget.fill(seconds(5));
        assert_eq!((budget.pins(), drain(&mut budget)), (120, 120));
        assert_eq!(budget.take(), Err(30));
        budget.fill(seconds(34));
        assert_eq!(budget.take(), Err(1));
        budget.fill(seconds(35));
        assert_eq!((drain(&mut budget), budget.take()), (1, Err(30)));
    }

    #[test]
    fn it_holds_no_more_than_an_hour() {
        let mut budget = PinBudget::full();
        budget.fill(seconds(0));
        drain(&mut budget);
        budget.fill(seconds(1_000_000));
        assert_eq!(drain(&mut budget), 120);
        budget.fill(Duration::MAX);
        assert_eq!(drain(&mut budget), 120);
    }

    #[test]
    fn a_new_process_on_a_machine_that_ran_on_gets_what_it_ran() {
        let mut budget = PinBudget::full();
        budget.fill(seconds(5_000));
        drain(&mut budget);
        let mut budget = power_cut(&budget);
        budget.fill(seconds(5_000));
        assert_eq!(budget.pins(), 0);
        let mut budget = power_cut(&budget);
        budget.fill(seconds(5_090));
        assert_eq!(budget.pins(), 3);
    }

    #[test]
    fn a_machine_that_was_started_anew_gets_what_it_ran_since() {
        let mut budget = PinBudget::full();
        budget.fill(seconds(5_000));
        drain(&mut budget);
        for _ in 0..100 {
            budget = power_cut(&budget);
            budget.fill(seconds(29));
            budget = power_cut(&budget);
            budget.fill(seconds(0));
        }
        // 100 starts of 29 seconds each.
        assert_eq!(drain(&mut budget), 96);
        budget.fill(seconds(60));
        assert_eq!(budget.pins(), 2);
    }

    #[test]
    fn more_than_full_is_not_read() {
        let mut writer = Writer::new();
        PinBudget { left: FULL + 1, at: 0 }.write(&mut writer);
        assert_eq!(PinBudget::read(&mut Reader::new(&writer.finish())), None);
    }

    proptest! {
        /// Whatever is done with power, there are never more PINs than the burst and those of the time that ran.
        #[test]
        fn no_sequence_gives_more_than_the_average(
            steps in proptest::collection::vec((any::<bool>(), 0..900_u64), 1..60),
        ) {
            let mut budget = PinBudget::full();
            let (mut ran, mut uptime, mut pins) = (0, 0, 0);
            budget.fill(seconds(0));
            for (cut, runs) in steps {
                if cut {
                    budget = power_cut(&budget);
                    uptime = 0;
                }
                budget.fill(seconds(uptime));
                uptime += runs;
                ran += runs;
                budget.fill(seconds(uptime));
                pins += drain(&mut budget);
            }
            prop_assert!(u64::from(pins) <= u64::from(BURST) + ran / 30);
        }
    }
}
