//! Why a POSP does not get what it asked for: one code each, for one item or for a whole request.

use hsm::Refusal;

use crate::kms::Failure;

/// A refusal that a POSP is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostRefusal {
    /// A value of the request is not what it should be.
    #[error("{0}")]
    Malformed(&'static str),
    /// The body of the request is not the JSON that is expected. What serde says of it may repeat a PAN, so only where
    /// it stopped is told.
    #[error("the body is not what this route takes (line {line}, column {column})")]
    Unreadable {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// No terminal has this id.
    #[error("no terminal is known by this id; map it to a serial first")]
    UnknownTerminal,
    /// The terminal is unknown or has signed in for no such slot.
    #[error("the terminal has no working key in this slot; have it sign in")]
    NoWorkingKey,
    /// The policy lets the key be used no longer.
    #[error(
        "the working key is too old, was used too often or for too many wrong PIN blocks; have the terminal sign in"
    )]
    WorkingKeyExpired,
    /// There is no key for this zone.
    #[error("there is no key for this zone; import or make one first")]
    UnknownZone,
    /// ISO 9564-1's table, or the cipher of the zone, forbids it.
    #[error("no PIN goes from this format to that one in this zone (ISO 9564-1)")]
    Format,
    /// The PAN is none.
    #[error("the PAN is not 13 to 19 digits")]
    Pan,
    /// The PIN block does not open, whatever is wrong in it.
    #[error("the PIN block is not one of this terminal, format and PAN")]
    PinBlock,
    /// The HSM makes no MAC over this.
    #[error(
        "no MAC is made over such data: it is empty, too long, or what a sign-in's confirmation consists of"
    )]
    MacData,
    /// The terminal did not prove that it holds its key.
    #[error("the terminal did not prove that it holds the TMK and its new keys; have it sign in again")]
    NotProven,
    /// There is nothing to confirm.
    #[error(
        "no sign-in of this slot waits for this confirmation: it was confirmed, or another came in between"
    )]
    NoSignIn,
    /// The terminal names a TMK that the server does not hold.
    #[error("no TMK with this check value is held for the slot; have the terminal load one")]
    NoTmk,
    /// The terminal asks for a suite that is not served.
    #[error("this server has no such suite; sign in with suite 01 or 02")]
    Suite,
    /// Too much at once.
    #[error("too many sign-ins of this terminal; try again in a minute")]
    Busy,
    /// A key in the store is refused by the HSM: our own failure; the log says more.
    #[error("the server failed; its log says why")]
    Internal,
}

/// Why a whole request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostError {
    /// The POSP's part.
    #[error(transparent)]
    Refused(#[from] HostRefusal),
    /// Ours.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl HostRefusal {
    /// The code, which stays the same while texts get better.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Unreadable { .. } => "malformed",
            Self::UnknownTerminal => "unknown-terminal",
            Self::NoWorkingKey => "no-working-key",
            Self::WorkingKeyExpired => "working-key-expired",
            Self::UnknownZone => "unknown-zone",
            Self::Format => "format-not-allowed",
            Self::Pan => "pan",
            Self::PinBlock => "pin-block",
            Self::MacData => "mac-data",
            Self::NotProven => "not-proven",
            Self::NoSignIn => "no-sign-in",
            Self::NoTmk => "no-tmk",
            Self::Suite => "suite-not-supported",
            Self::Busy => "busy",
            Self::Internal => "internal",
        }
    }

    /// What a refusal of the HSM's about one item means to a POSP. The exact reason goes to the log.
    pub(super) fn of_key(refusal: &Refusal) -> Self {
        match refusal {
            // A terminal of another acquirer in the same database is none of this one's.
            Refusal::WrongOwner { .. } => Self::NoWorkingKey,
            other => {
                tracing::error!(refusal = %other, "the HSM refuses a key of the store");
                Self::Internal
            }
        }
    }
}

impl From<hsm::HsmError> for HostError {
    fn from(error: hsm::HsmError) -> Self {
        Self::Failure(error.into())
    }
}

impl From<store::StoreError> for HostError {
    fn from(error: store::StoreError) -> Self {
        Self::Failure(error.into())
    }
}
