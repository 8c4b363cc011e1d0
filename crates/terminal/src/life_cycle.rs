//! The life cycle of a terminal, as a table (1-systems.md D; docs/life-cycle.md has the picture and the same table).
//!
//! ```text
//!                KeyDone, Deploy              Tamper
//! Production ─────────────────► Deployed ─────────────► Tampered
//!                                  ▲  │                     │
//!                  KeyDone, Deploy │  │ RepairAuthorised    │ RepairAuthorised
//!                                  │  ▼                     │
//!                                 Repair ◄──────────────────┘          Retire, from anywhere ──► Retired
//! ```

use std::fmt;

/// Where a terminal is in its life. The PIN pad keeps it, because what it allows is the PIN pad's to enforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LifeCycle {
    /// At the vendor's: a TK may be made and collected.
    Production,
    /// In the field: no TK is made any more.
    Deployed,
    /// Somebody interfered with it in the field: every key is wiped, and only a repair authorisation helps.
    Tampered,
    /// At a repairer's, with its vendor's authorisation, all keys wiped: a TK may be made and collected again.
    Repair,
    /// Final: all keys wiped, nothing more is done.
    Retired,
}

/// What moves a terminal through its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Milestone {
    /// The DONE of a key arrived.
    KeyDone,
    /// Somebody said so.
    Deploy,
    /// The lid is or was open, or a sensor is outside its tamper range.
    Tamper,
    /// A repair authorisation of the vendor, for this serial and challenge, was checked.
    RepairAuthorised,
    /// Somebody said so; there is no way back.
    Retire,
}

/// What a milestone erases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wipe {
    /// Nothing.
    Nothing,
    /// TK with the latch, and the keys that it brought.
    Tk,
    /// Every key, every owner and the latch.
    Everything,
}

/// A state, a milestone, where it leads and what is erased on the way. `None`: it cannot be.
type Line = (LifeCycle, Milestone, Option<(LifeCycle, Wipe)>);

/// Every state and milestone.
const TABLE: &[Line] = {
    use LifeCycle::{Deployed, Production, Repair, Retired, Tampered};
    use Milestone::{Deploy, KeyDone, RepairAuthorised, Retire, Tamper};
    use Wipe::{Everything, Nothing, Tk};
    &[
        (Production, KeyDone, Some((Deployed, Nothing))),
        (Production, Deploy, Some((Deployed, Nothing))),
        (Production, Tamper, Some((Production, Tk))),
        // A terminal that was never deployed has nothing that an authorisation could lift.
        (Production, RepairAuthorised, None),
        (Production, Retire, Some((Retired, Everything))),
        (Deployed, KeyDone, Some((Deployed, Nothing))),
        (Deployed, Deploy, Some((Deployed, Nothing))),
        (Deployed, Tamper, Some((Tampered, Everything))),
        (Deployed, RepairAuthorised, Some((Repair, Everything))),
        (Deployed, Retire, Some((Retired, Everything))),
        (Tampered, KeyDone, None),
        (Tampered, Deploy, None),
        (Tampered, Tamper, Some((Tampered, Everything))),
        (Tampered, RepairAuthorised, Some((Repair, Everything))),
        (Tampered, Retire, Some((Retired, Everything))),
        (Repair, KeyDone, Some((Deployed, Nothing))),
        (Repair, Deploy, Some((Deployed, Nothing))),
        (Repair, Tamper, Some((Repair, Tk))),
        (Repair, RepairAuthorised, None),
        (Repair, Retire, Some((Retired, Everything))),
        (Retired, KeyDone, None),
        (Retired, Deploy, None),
        (Retired, Tamper, Some((Retired, Everything))),
        (Retired, RepairAuthorised, None),
        (Retired, Retire, Some((Retired, Everything))),
    ]
};

impl LifeCycle {
    /// Every state.
    pub const ALL: [LifeCycle; 5] = [
        LifeCycle::Production,
        LifeCycle::Deployed,
        LifeCycle::Tampered,
        LifeCycle::Repair,
        LifeCycle::Retired,
    ];

    /// The state after this milestone, and what is erased on the way; nothing where the milestone cannot be.
    #[must_use]
    pub fn step(self, milestone: Milestone) -> Option<(LifeCycle, Wipe)> {
        TABLE.iter().find(|(from, at, _)| (*from, *at) == (self, milestone)).and_then(|(_, _, to)| *to)
    }

    /// The state after this milestone; nothing where the milestone cannot be.
    #[must_use]
    pub fn after(self, milestone: Milestone) -> Option<LifeCycle> {
        self.step(milestone).map(|(to, _)| to)
    }

    /// Whether a TK may be made and collected.
    #[must_use]
    pub fn may_make_tk(self) -> bool {
        matches!(self, LifeCycle::Production | LifeCycle::Repair)
    }

    /// Whether keys may be loaded: downloaded, or by a KLD.
    #[must_use]
    pub fn may_load_keys(self) -> bool {
        matches!(self, LifeCycle::Production | LifeCycle::Deployed | LifeCycle::Repair)
    }

    /// Whether PINs, MACs and track data may be made with the keys.
    #[must_use]
    pub fn may_transact(self) -> bool {
        self == LifeCycle::Deployed
    }

    /// Whether a repair authorisation may be asked for.
    #[must_use]
    pub fn may_be_repaired(self) -> bool {
        self.after(Milestone::RepairAuthorised).is_some()
    }

    /// The number in the PIN pad's state.
    pub(crate) fn number(self) -> u8 {
        match self {
            LifeCycle::Production => 1,
            LifeCycle::Deployed => 2,
            LifeCycle::Tampered => 3,
            LifeCycle::Repair => 4,
            LifeCycle::Retired => 5,
        }
    }

    /// The state with this number.
    pub(crate) fn from_number(number: u8) -> Option<LifeCycle> {
        LifeCycle::ALL.into_iter().find(|state| state.number() == number)
    }
}

impl Milestone {
    /// Every milestone.
    pub const ALL: [Milestone; 5] = [
        Milestone::KeyDone,
        Milestone::Deploy,
        Milestone::Tamper,
        Milestone::RepairAuthorised,
        Milestone::Retire,
    ];
}

impl fmt::Display for LifeCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LifeCycle::Production => "production",
            LifeCycle::Deployed => "deployed",
            LifeCycle::Tampered => "tampered",
            LifeCycle::Repair => "repair",
            LifeCycle::Retired => "retired",
        })
    }
}

impl fmt::Display for Wipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wipe::Nothing => "nothing",
            Wipe::Tk => "TK",
            Wipe::Everything => "everything",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_milestone_has_exactly_one_line() {
        for state in LifeCycle::ALL {
            for milestone in Milestone::ALL {
                let lines = TABLE.iter().filter(|(from, at, _)| (*from, *at) == (state, milestone)).count();
                assert_eq!(lines, 1, "{state} {milestone:?}");
            }
        }
        assert_eq!(TABLE.len(), LifeCycle::ALL.len() * Milestone::ALL.len());
    }

    #[test]
    fn the_table_is_the_one_in_the_documentation() {
        let mut table = String::from("| in | at | leads to | erases |\n|---|---|---|---|\n");
        for (from, at, to) in TABLE {
            let (to, wipe) =
                to.map_or(("–".into(), "–".into()), |(to, wipe)| (to.to_string(), wipe.to_string()));
            table += &format!("| {from} | {at:?} | {to} | {wipe} |\n");
        }
        let document = include_str!("../../../docs/life-cycle.md");
        assert!(document.contains(&table), "docs/life-cycle.md needs this table:\n{table}");
    }

    #[test]
    fn production_is_never_entered_from_elsewhere_and_retired_never_left() {
        for (from, milestone, to) in TABLE {
            let to = to.map(|(to, _)| to);
            assert!(to != Some(LifeCycle::Production) || *from == LifeCycle::Production, "{milestone:?}");
            assert!(
                *from != LifeCycle::Retired || to.is_none_or(|to| to == LifeCycle::Retired),
                "{milestone:?}"
            );
        }
    }

    #[test]
    fn r17_r18_whatever_enters_tampered_repair_or_retired_erases_everything() {
        use LifeCycle::{Repair, Retired, Tampered};
        for (from, milestone, to) in TABLE {
            if let Some((to, wipe)) = to
                && [Tampered, Repair, Retired].contains(to)
                && from != to
            {
                assert_eq!(*wipe, Wipe::Everything, "{from} {milestone:?}");
            }
        }
    }

    #[test]
    fn repair_is_entered_by_an_authorisation_only() {
        for (from, milestone, to) in TABLE {
            if to.is_some_and(|(to, _)| to == LifeCycle::Repair) && *from != LifeCycle::Repair {
                assert_eq!(*milestone, Milestone::RepairAuthorised, "{from}");
            }
        }
    }

    #[test]
    fn a_tk_is_made_in_production_and_repair_only() {
        let may: Vec<_> = LifeCycle::ALL.into_iter().filter(|state| state.may_make_tk()).collect();
        assert_eq!(may, [LifeCycle::Production, LifeCycle::Repair]);
    }

    #[test]
    fn no_key_is_loaded_when_tampered_or_retired() {
        let may: Vec<_> = LifeCycle::ALL.into_iter().filter(|state| !state.may_load_keys()).collect();
        assert_eq!(may, [LifeCycle::Tampered, LifeCycle::Retired]);
    }

    #[test]
    fn transactions_are_done_in_the_field_only() {
        let may: Vec<_> = LifeCycle::ALL.into_iter().filter(|state| state.may_transact()).collect();
        assert_eq!(may, [LifeCycle::Deployed]);
    }

    #[test]
    fn numbers_are_read_back_and_others_refused() {
        for state in LifeCycle::ALL {
            assert_eq!(LifeCycle::from_number(state.number()), Some(state));
        }
        assert_eq!(LifeCycle::from_number(0), None);
        assert_eq!(LifeCycle::from_number(6), None);
    }
}
