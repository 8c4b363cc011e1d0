//! Which terminal a POSP means: serial, terminal id (ISO 8583 field 41) and merchant id (field 42).

use hsm::Hsm;
use serde_json::json;
use store::{Event, MapOutcome, Store, StoreError, TerminalIdentity, limits};
use wire::Serial;

use super::refusal::HostError;
use crate::kms::{Kms, event};

/// The names that a terminal is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdentity {
    /// Its serial.
    pub sn: String,
    /// Terminal id, 1 to 64 bytes without control characters, unique in the estate.
    pub terminal_id: String,
    /// Merchant id, up to 64 bytes; empty where it has none.
    pub merchant_id: String,
}

/// What became of one [`NewIdentity`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Named {
    /// The terminal has these names from now on.
    #[error("stored")]
    Stored,
    /// No such terminal.
    #[error("no terminal has this serial")]
    UnknownTerminal,
    /// Another terminal has this terminal id.
    #[error("terminal {0} has this terminal id; give it another first")]
    TerminalIdTaken(Serial),
    /// A name is none.
    #[error("{0}")]
    Malformed(&'static str),
}

impl Named {
    /// The code of a refusal; nothing when it was stored.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Stored => None,
            Self::UnknownTerminal => Some("unknown-terminal"),
            Self::TerminalIdTaken(_) => Some("terminal-id-taken"),
            Self::Malformed(_) => Some("malformed"),
        }
    }
}

/// What to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// The terminal with this serial.
    Serial(&'a str),
    /// The terminal with this id.
    TerminalId(&'a str),
    /// A merchant's terminals, at most [`limits::PAGE`], from the serial after `after` on.
    MerchantId {
        /// The merchant.
        id: &'a str,
        /// The last serial of the page before.
        after: Option<&'a str>,
    },
}

/// Gives terminals their names, at most [`limits::IMPORT`] at once, and answers for each, in order.
///
/// # Errors
/// When the store fails; then nothing has changed.
pub async fn name<S: Store>(
    store: &S,
    identities: Vec<NewIdentity>,
    actor: &str,
) -> Result<Vec<Named>, StoreError> {
    let mut checked = Vec::with_capacity(identities.len());
    let mut named: Vec<_> = identities
        .into_iter()
        .map(|identity| check(identity).map(|identity| checked.push(identity)).err())
        .map(|wrong| wrong.map_or(Named::Stored, Named::Malformed))
        .collect();
    if checked.is_empty() {
        return Ok(named);
    }
    let event: Event = event("identities.mapped", actor, "identities", json!({ "terminals": checked.len() }));
    let mut outcomes = store.map_identities(checked, event).await?.into_iter();
    for outcome in named.iter_mut().filter(|outcome| **outcome == Named::Stored) {
        match outcomes.next() {
            Some(MapOutcome::UnknownTerminal) => *outcome = Named::UnknownTerminal,
            Some(MapOutcome::TerminalIdTaken(sn)) => *outcome = Named::TerminalIdTaken(sn),
            Some(MapOutcome::Stored) | None => {}
        }
    }
    Ok(named)
}

/// Looks terminals up. What no terminal can be called is the name of none.
///
/// # Errors
/// When the store fails.
pub async fn look_up<S: Store>(store: &S, wanted: Wanted<'_>) -> Result<Vec<TerminalIdentity>, StoreError> {
    Ok(match wanted {
        Wanted::Serial(sn) => match Serial::parse(sn) {
            Ok(sn) => store.identity(&sn).await?.into_iter().collect(),
            Err(_) => Vec::new(),
        },
        Wanted::TerminalId(id) => store.identity_of_terminal_id(id).await?.into_iter().collect(),
        Wanted::MerchantId { id, after } => {
            let after = after.map(Serial::parse).transpose();
            match after {
                Ok(after) => store.identities_of_merchant(id, after.as_ref(), limits::PAGE).await?,
                Err(_) => Vec::new(),
            }
        }
    })
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Gives terminals their names, for a POSP.
    pub(crate) async fn name_terminals(
        &self,
        identities: Vec<NewIdentity>,
        by: &str,
    ) -> Result<Vec<Named>, HostError> {
        let named = name(&*self.store, identities, by).await?;
        self.host.names.clear();
        Ok(named)
    }
}

fn check(identity: NewIdentity) -> Result<TerminalIdentity, &'static str> {
    let NewIdentity { sn, terminal_id, merchant_id } = identity;
    let sn = Serial::parse(&sn).map_err(|_| "sn must be 1 to 32 of A-Z a-z 0-9 - . _")?;
    let good = |text: &str| text.len() <= limits::IDENTITY && !text.chars().any(char::is_control);
    if terminal_id.is_empty() || !good(&terminal_id) {
        return Err("terminal_id must be 1 to 64 bytes without control characters");
    }
    if !good(&merchant_id) {
        return Err("merchant_id must be at most 64 bytes without control characters");
    }
    Ok(TerminalIdentity { sn, terminal_id, merchant_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(terminal_id: &str, merchant_id: &str) -> Option<&'static str> {
        let (terminal_id, merchant_id) = (terminal_id.to_owned(), merchant_id.to_owned());
        check(NewIdentity { sn: "SN-1".into(), terminal_id, merchant_id }).err()
    }

    #[test]
    fn names_have_their_limits() {
        assert_eq!(checked("T", ""), None);
        assert_eq!(checked(&"T".repeat(64), &"M".repeat(64)), None);
        for (terminal_id, merchant_id) in
            [("", ""), (&*"T".repeat(65), ""), ("T\n", ""), ("T", &*"M".repeat(65))]
        {
            assert!(checked(terminal_id, merchant_id).is_some(), "{terminal_id:?} {merchant_id:?}");
        }
    }
}
