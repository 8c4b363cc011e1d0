//! The life cycle of a terminal, as a table (1-systems.md D).
//!
//! ```text
//! Production ──KeyDone, Deploy──► Deployed ◄─┐
//!                                     └──────┘ KeyDone, Deploy
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
}

/// What moves a terminal through its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Milestone {
    /// The DONE of a key arrived.
    KeyDone,
    /// Somebody said so.
    Deploy,
}

/// Every state and milestone, and where it leads.
const TABLE: &[(LifeCycle, Milestone, LifeCycle)] = {
    use LifeCycle::{Deployed, Production};
    use Milestone::{Deploy, KeyDone};
    &[
        (Production, KeyDone, Deployed),
        (Production, Deploy, Deployed),
        (Deployed, KeyDone, Deployed),
        (Deployed, Deploy, Deployed),
    ]
};

impl LifeCycle {
    /// Every state.
    pub const ALL: [LifeCycle; 2] = [LifeCycle::Production, LifeCycle::Deployed];

    /// The state after this milestone; nothing where the milestone cannot be.
    #[must_use]
    pub fn after(self, milestone: Milestone) -> Option<LifeCycle> {
        TABLE.iter().find(|(from, at, _)| (*from, *at) == (self, milestone)).map(|(_, _, to)| *to)
    }

    /// Whether a TK may be made and collected.
    #[must_use]
    pub fn may_make_tk(self) -> bool {
        matches!(self, LifeCycle::Production)
    }

    /// Whether keys may be downloaded into slots.
    #[must_use]
    pub fn may_load_keys(self) -> bool {
        matches!(self, LifeCycle::Production | LifeCycle::Deployed)
    }

    /// The number in the PIN pad's state.
    pub(crate) fn number(self) -> u8 {
        match self {
            LifeCycle::Production => 1,
            LifeCycle::Deployed => 2,
        }
    }

    /// The state with this number.
    pub(crate) fn from_number(number: u8) -> Option<LifeCycle> {
        LifeCycle::ALL.into_iter().find(|state| state.number() == number)
    }
}

impl Milestone {
    /// Every milestone.
    pub const ALL: [Milestone; 2] = [Milestone::KeyDone, Milestone::Deploy];
}

impl fmt::Display for LifeCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LifeCycle::Production => "production",
            LifeCycle::Deployed => "deployed",
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
    fn production_is_never_entered_again() {
        for (_, milestone, to) in TABLE {
            assert_ne!(*to, LifeCycle::Production, "{milestone:?}");
        }
    }

    #[test]
    fn a_tk_is_made_in_production_only() {
        assert!(LifeCycle::Production.may_make_tk());
        assert!(!LifeCycle::Deployed.may_make_tk());
    }

    #[test]
    fn numbers_are_read_back_and_others_refused() {
        for state in LifeCycle::ALL {
            assert_eq!(LifeCycle::from_number(state.number()), Some(state));
        }
        assert_eq!(LifeCycle::from_number(0), None);
        assert_eq!(LifeCycle::from_number(3), None);
    }
}
