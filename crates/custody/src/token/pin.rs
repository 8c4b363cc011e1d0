//! What a token tells of its PIN.

use std::fmt;

use cryptoki::slot::TokenInfo;

/// What a token tells of its user's PIN. PKCS #11 has flags and no number (v2.40 section 3.2, `CKF_USER_PIN_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PinState {
    /// No wrong PIN since the last right one, as far as the token tells.
    Untried,
    /// A wrong PIN was given at least once since the last right one: `CKF_USER_PIN_COUNT_LOW`.
    FewLeft,
    /// The next wrong PIN locks it: `CKF_USER_PIN_FINAL_TRY`.
    LastTry,
    /// It is locked: `CKF_USER_PIN_LOCKED`. No PIN is tried any more.
    Locked,
    /// It has no PIN yet.
    NotSet,
}

impl PinState {
    pub(super) fn of(info: &TokenInfo) -> Self {
        Self::of_flags(Flags {
            set: info.user_pin_initialized(),
            low: info.user_pin_count_low(),
            last: info.user_pin_final_try(),
            locked: info.user_pin_locked(),
        })
    }

    /// The worst that is told counts.
    fn of_flags(flags: Flags) -> Self {
        match flags {
            Flags { locked: true, .. } => Self::Locked,
            Flags { set: false, .. } => Self::NotSet,
            Flags { last: true, .. } => Self::LastTry,
            Flags { low: true, .. } => Self::FewLeft,
            _ => Self::Untried,
        }
    }
}

#[derive(Clone, Copy)]
struct Flags {
    set: bool,
    low: bool,
    last: bool,
    locked: bool,
}

impl fmt::Display for PinState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Untried => "no wrong PIN is counted",
            Self::FewLeft => {
                "a wrong PIN was given before: few tries are left, and the token does not say how many"
            }
            Self::LastTry => "ONE try is left: the next wrong PIN locks the token",
            Self::Locked => "its PIN is locked",
            Self::NotSet => "it has no PIN yet",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, PinState};

    #[test]
    fn the_worst_flag_counts() {
        let of = |set, low, last, locked| PinState::of_flags(Flags { set, low, last, locked });
        assert_eq!(of(true, false, false, false), PinState::Untried);
        assert_eq!(of(true, true, false, false), PinState::FewLeft);
        assert_eq!(of(true, true, true, false), PinState::LastTry);
        assert_eq!(of(true, true, true, true), PinState::Locked);
        assert_eq!(of(false, false, false, true), PinState::Locked);
        assert_eq!(of(false, false, false, false), PinState::NotSet);
    }
}
