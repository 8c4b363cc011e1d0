//! The board's sensors: lid, voltage, temperature, and what their readings mean (1-systems.md D).

mod simulated;

use serde::{Deserialize, Serialize};

pub use simulated::{BOARD_FILE, SharedBoard, SimulatedBoard};

/// Reads the sensors. A PIN pad asks it before, during and after everything that makes or releases a key.
pub trait Board: Send {
    /// What the sensors say now.
    ///
    /// # Errors
    /// [`BoardError`]: then nothing is made or released, and nothing is wiped.
    fn readings(&mut self) -> Result<Readings, BoardError>;
}

/// What the sensors say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readings {
    /// Whether the lid is open now.
    pub lid_open: bool,
    /// How often the lid was opened since the board was made. The PIN pad remembers the number that it has acted on,
    /// so that an opening between two looks, or without power, is found: a flag that has to be cleared could be cleared
    /// too early.
    pub lid_openings: u64,
    /// Supply voltage, mV.
    pub millivolts: i32,
    /// Temperature, °C.
    pub celsius: i32,
}

impl Readings {
    /// A closed case in a room, on a good supply.
    pub const NOMINAL: Readings =
        Readings { lid_open: false, lid_openings: 0, millivolts: 3300, celsius: 23 };
}

/// The sensors cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the sensors cannot be read: {0}")]
pub struct BoardError(
    /// Why.
    pub String,
);

/// From one value to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The lowest.
    pub min: i32,
    /// The highest.
    pub max: i32,
}

impl Span {
    fn holds(self, value: i32) -> bool {
        (self.min..=self.max).contains(&value)
    }
}

/// The two ranges of a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorRanges {
    /// Outside it nothing is made or released; nothing is wiped: a hot car is no attack.
    pub operating: Span,
    /// Outside it somebody interferes: keys are wiped. Holds the operating range.
    pub tamper: Span,
}

impl SensorRanges {
    /// Whether the wider range holds the narrower, and neither is empty.
    #[must_use]
    pub fn are_nested(&self) -> bool {
        self.operating.min <= self.operating.max
            && self.tamper.holds(self.operating.min)
            && self.tamper.holds(self.operating.max)
    }

    fn judge(&self, value: i32) -> Judgement {
        match (self.operating.holds(value), self.tamper.holds(value)) {
            (_, false) => Judgement::Tamper,
            (false, true) => Judgement::Unfit,
            (true, true) => Judgement::Fit,
        }
    }
}

/// The ranges that production set for a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorLimits {
    /// Supply voltage, mV.
    pub millivolts: SensorRanges,
    /// Temperature, °C.
    pub celsius: SensorRanges,
}

impl Default for SensorLimits {
    /// 2 700 to 3 600 mV and −10 to 55 °C; tamper below 2 200 or above 4 200 mV, below −35 or above 95 °C.
    fn default() -> SensorLimits {
        SensorLimits {
            millivolts: SensorRanges {
                operating: Span { min: 2700, max: 3600 },
                tamper: Span { min: 2200, max: 4200 },
            },
            celsius: SensorRanges {
                operating: Span { min: -10, max: 55 },
                tamper: Span { min: -35, max: 95 },
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    Fit,
    Unfit,
    Tamper,
}

/// What readings mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is well.
    Fit,
    /// Outside an operating range: stop, and start again later.
    Unfit(Finding),
    /// Outside a tamper range, or the lid is or was open.
    Tamper(Finding),
}

/// The sensor that decided, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// `lid`, `voltage` or `temperature`: DF28.
    pub(crate) check: &'static str,
    /// DF29.
    pub(crate) reading: String,
}

impl Readings {
    /// Judges them; `seen` is the number of openings that the PIN pad has acted on. A smaller number than that is an
    /// exchanged board, so any other number is an opening.
    pub(crate) fn judge(&self, limits: &SensorLimits, seen: u64) -> Verdict {
        let finding = |check, reading| Finding { check, reading };
        if self.lid_open {
            return Verdict::Tamper(finding("lid", "open".into()));
        }
        if self.lid_openings != seen {
            let reading = format!("opened: {} openings, {seen} known", self.lid_openings);
            return Verdict::Tamper(finding("lid", reading));
        }
        let sensors = [
            (limits.millivolts.judge(self.millivolts), finding("voltage", format!("{} mV", self.millivolts))),
            (limits.celsius.judge(self.celsius), finding("temperature", format!("{} C", self.celsius))),
        ];
        let worst = |wanted| sensors.iter().find(|(judged, _)| *judged == wanted).map(|(_, found)| found);
        if let Some(found) = worst(Judgement::Tamper) {
            return Verdict::Tamper(found.clone());
        }
        worst(Judgement::Unfit).map_or(Verdict::Fit, |found| Verdict::Unfit(found.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(readings: Readings) -> String {
        match readings.judge(&SensorLimits::default(), 0) {
            Verdict::Fit => "fit".into(),
            Verdict::Unfit(found) => format!("unfit {}", found.check),
            Verdict::Tamper(found) => format!("tamper {}", found.check),
        }
    }

    #[test]
    fn each_range_ends_where_it_says() {
        for (millivolts, expected) in [
            (2199, "tamper voltage"),
            (2200, "unfit voltage"),
            (2699, "unfit voltage"),
            (2700, "fit"),
            (3600, "fit"),
            (3601, "unfit voltage"),
            (4200, "unfit voltage"),
            (4201, "tamper voltage"),
        ] {
            assert_eq!(judged(Readings { millivolts, ..Readings::NOMINAL }), expected, "{millivolts} mV");
        }
        for (celsius, expected) in [
            (-36, "tamper temperature"),
            (-35, "unfit temperature"),
            (-11, "unfit temperature"),
            (-10, "fit"),
            (55, "fit"),
            (56, "unfit temperature"),
            (95, "unfit temperature"),
            (96, "tamper temperature"),
        ] {
            assert_eq!(judged(Readings { celsius, ..Readings::NOMINAL }), expected, "{celsius} C");
        }
    }

    #[test]
    fn a_lid_is_tampered_with_while_open_and_once_opened() {
        assert_eq!(judged(Readings { lid_open: true, ..Readings::NOMINAL }), "tamper lid");
        assert_eq!(judged(Readings { lid_openings: 1, ..Readings::NOMINAL }), "tamper lid");
        let acted_on = Readings { lid_openings: 1, ..Readings::NOMINAL };
        assert_eq!(acted_on.judge(&SensorLimits::default(), 1), Verdict::Fit);
        // Another board that was never opened is no way round.
        assert!(matches!(Readings::NOMINAL.judge(&SensorLimits::default(), 1), Verdict::Tamper(_)));
    }

    #[test]
    fn tampering_outweighs_a_bad_supply() {
        assert_eq!(
            judged(Readings { millivolts: 2500, celsius: 120, ..Readings::NOMINAL }),
            "tamper temperature"
        );
    }

    #[test]
    fn ranges_are_nested_or_refused() {
        let limits = SensorLimits::default();
        assert!(limits.millivolts.are_nested() && limits.celsius.are_nested());
        let turned = SensorRanges { operating: limits.celsius.tamper, tamper: limits.celsius.operating };
        assert!(!turned.are_nested());
        let empty = SensorRanges { operating: Span { min: 1, max: 0 }, tamper: Span { min: 0, max: 1 } };
        assert!(!empty.are_nested());
    }
}
